"""Where a sentence ends.

`find_end` looks at one *view*: the text from the start of a sentence, at most `VIEW` characters
of it. It decides on nothing that it cannot see yet, so that text in pieces and text at once have
the same sentences, with one exception: where what is there stops right behind a mark that nearly
always ends a sentence, it does, because whoever writes and waits wants to hear it now.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cosyd.text.characters import is_wide, safe_cut
from cosyd.text.words import words

MAX_SENTENCE = 600
"""Characters; a longer one is cut, so that what waits for an end is bounded."""
VIEW = MAX_SENTENCE + 24
"""Characters of a view: the sentence and what may follow it to decide on its end."""
WRAP_COLUMNS = 40
"""A line at least this wide may be hard-wrapped prose; its newline alone ends no sentence."""

_NEWLINES = "\n\x0b\x0c\x85\u2028\u2029"
_CANDIDATE = re.compile(f"[.!?…。！？｡؟।{_NEWLINES}]")
_RUN = re.compile(r"[.!?…。！？｡؟।]+[\ufe0e\ufe0f]?")
_CLOSERS = re.compile("[\"'”’»」』】》）〉)\\]}*_]*")
_SPACES = re.compile(rf"[^\S{_NEWLINES}]*")
_BLANK = re.compile(r"\s*")
_CJK_ENDS = frozenset("。！？｡؟।")
_GOES_ON = frozenset(",，、;；:：)）]】」』》")
_WORD = re.compile(r"[^\W\d_]*")
_BEFORE = re.compile(r"[^\W\d_](?:\.?[^\W\d_])*$")
_PLAIN_WORD = re.compile(r"(?:^|\s)[\"'“‘(]?([^\W\d_]+(?:['’-][^\W\d_]+)*)$")
_INITIALS = re.compile(r"(?:[a-z]{1,2}\.)*[a-z]|(?:[a-z]{1,2}\.)+[a-z]{2}")
_NUMBER_ONLY = re.compile(r"[\s\"'“‘(#*>-]*\d{1,2}$")
_LIST_ITEM = re.compile(
    r"(?:[-*+•·▪◦‣–—>#|]|\d{1,3}[.)、．]|[a-zA-Z][.)]\s|[（(]?[一二三四五六七八九十\d]{1,3}[、）)])"
)

# Followed by more of the same sentence, whatever comes.
_NEVER = frozenset(
    words(
        "mr mrs ms mx dr prof gen col sgt capt lt cmdr rev hon sen rep gov messrs mme mlle vs cf "
        "e.g eg i.e ie viz approx"
    )
)
# Only before a number.
_NUMBERED = frozenset(words("no nos fig figs vol pp p sec ch eq art pt"))
# Mostly inside a sentence; at its end only before a word that begins sentences.
_SELDOM = frozenset(
    words(
        "etc inc ltd co corp jr sr st mt ave blvd rd al dept univ bros est "
        "jan feb mar apr jun jul aug sep sept oct nov dec "
        "mon tue tues wed thu thur thurs fri sat sun"
    )
)
_STARTERS = frozenset(
    words(
        "The A An This That These Those It He She We You They I There Here His Her My Our Your "
        "Their And But Or So Then If When While What Why How Who Where Which As At In On For From "
        "With After Before Since However Also No Yes Not Now Is Are Was Were Do Does Did Can Could "
        "Will Would Should Let Please Its One All Some Many Most Next Today Tomorrow Yesterday"
    )
)
_SELDOM_LAST = _NEVER | _NUMBERED | _SELDOM | {"www"}
_PAIRS = [tuple(pair) for pair in words("“” ‘’ «» 「」 『』 () （） [] 【】 《》")]


class Found(NamedTuple):
    """What `find_end` found."""

    end: int | None
    """Where the sentence ends in the view, or None: more text must come first."""
    scan: int
    """Where to go on looking when more text has come."""


class _Wait(Exception):
    """The decision needs text that is not there yet."""


class _View:
    """A view, and whether what is behind its end can no longer matter."""

    def __init__(self, text: str, column: int, complete: bool) -> None:
        self.text = text
        self.column = column
        self.complete = complete

    def see(self, at: int) -> str:
        """The character at `at`, "" behind the end; raises _Wait where one may still come."""
        if at < len(self.text):
            return self.text[at]
        if not self.complete:
            raise _Wait
        return ""

    def line_width(self, newline: int) -> int:
        """Columns of the line that ends at `newline`, which may have begun before the view."""
        begin = max(self.text.rfind(char, 0, newline) for char in _NEWLINES) + 1
        line = self.text[begin:newline].rstrip()
        return (0 if begin else self.column) + sum(2 if is_wide(char) else 1 for char in line)


def find_end(text: str, scan: int, column: int, *, complete: bool) -> Found:
    """Look for the end of the sentence that starts at `text[0]`.

    Args:
        text: the view, at most `VIEW` characters, beginning with a non-blank one.
        scan: where to look on; 0 at first, then the `scan` of the last answer.
        column: columns of the first line that are before the view.
        complete: no more text will come that belongs to this sentence.
    """
    view = _View(text, column, complete or len(text) >= VIEW)
    while match := _CANDIDATE.search(text, scan, MAX_SENTENCE):
        at = match.start()
        try:
            end, scan = _judge(view, at)
        except _Wait:
            return (
                Found(min(len(text), MAX_SENTENCE), 0)
                if _clearly_ends(text, at)
                else Found(None, at)
            )
        if end is not None:
            return Found(min(end, MAX_SENTENCE), 0)
    if len(text) <= MAX_SENTENCE and complete:
        return Found(len(text.rstrip()), 0)
    if len(text) < VIEW and not complete:
        return Found(None, max(scan, min(len(text), MAX_SENTENCE)))
    return Found(_cut_long(text), 0)


def _judge(view: _View, at: int) -> tuple[int | None, int]:
    """(end of the sentence, _), or (None, where to look next)."""
    if view.text[at] in _NEWLINES:
        return _judge_newline(view, at)
    run = _RUN.match(view.text, at)
    stop = run.end() if run else at + 1
    view.see(stop)
    end = _closers_end(view.text, stop)
    following = view.see(end)
    if _ends(view, at, view.text[at:stop], end, following):
        return end, 0
    return None, stop


def _clearly_ends(text: str, at: int) -> bool:
    """Whether the mark at `at` is the last of the view and hardly anything can follow it."""
    run = _RUN.match(text, at)
    if run is None or run.end() != len(text) or _quote_is_open(text):
        return False
    if not _CJK_ENDS.isdisjoint(run.group()):
        return True
    match = _PLAIN_WORD.search(text, 0, at)
    word = match.group(1).lower() if match else ""
    if run.group() != ".":
        return bool(word) and set(run.group()) <= {"!", "?"}
    return bool(word) and not (word in _SELDOM_LAST or _INITIALS.fullmatch(word))


def _quote_is_open(text: str) -> bool:
    return text.count('"') % 2 == 1 or any(text.count(a) > text.count(b) for a, b in _PAIRS)


def _closers_end(text: str, at: int) -> int:
    match = _CLOSERS.match(text, at)
    return match.end() if match else at


def _judge_newline(view: _View, at: int) -> tuple[int | None, int]:
    text = view.text
    end = len(text[:at].rstrip())
    if view.line_width(at) < WRAP_COLUMNS or text[end - 1] in ":：" or text[at] in "\x0c\u2029":
        return end, 0
    match = _BLANK.match(text, at)
    after = match.end() if match else at
    view.see(after + 4)  # a list item's mark is at most this long
    newlines = sum(text[at:after].count(char) for char in _NEWLINES)
    if after == len(text) or newlines > 1 or _LIST_ITEM.match(text, after):
        return end, 0
    return None, after


def _ends(view: _View, at: int, run: str, end: int, following: str) -> bool:
    if not _CJK_ENDS.isdisjoint(run):
        return following not in _GOES_ON
    if following and not following.isspace() and not _opens_sentence(following):
        return False
    if "!" in run or "?" in run:
        quoted = end > at + len(run)
        return not (quoted and following.isspace() and _next_char(view, end).islower())
    if len(run) > 1 or "…" in run:
        return (not following or following.isspace()) and not _next_char(view, end).islower()
    return _period_ends(view, at, end)


def _opens_sentence(char: str) -> bool:
    """Whether `char` right behind an ASCII full stop, with no space, begins a new sentence."""
    return is_wide(char) or char > "\u218f"


def _next_char(view: _View, end: int) -> str:
    match = _SPACES.match(view.text, end)
    return view.see(match.end() if match else end)


def _period_ends(view: _View, at: int, end: int) -> bool:
    if _NUMBER_ONLY.fullmatch(view.text, 0, at):
        return False  # "1. The first item"
    match = _BEFORE.search(view.text, max(0, at - 12), at)
    word = match.group().lower() if match else ""
    if end > at + 1 and word not in _NEVER:
        return True  # closed by a quote or bracket
    if word in _NEVER:
        return not view.text[end:].strip() and not _next_char(view, end)
    if word in _NUMBERED:
        return not _next_char(view, end).isdigit()
    if _INITIALS.fullmatch(word) or word in _SELDOM:
        return _starter_follows(view, end)
    return True


def _starter_follows(view: _View, end: int) -> bool:
    spaces = _SPACES.match(view.text, end)
    begin = spaces.end() if spaces else end
    if not view.see(begin) or view.text[begin] in _NEWLINES:
        return view.see(begin) == ""
    if is_wide(view.text[begin]):
        return True
    match = _WORD.match(view.text, begin)
    stop = match.end() if match else begin
    view.see(stop)
    return view.text[begin:stop] in _STARTERS


def _cut_long(text: str) -> int:
    """A cut for a sentence of over `MAX_SENTENCE`: at a clause, else a word, else anywhere."""
    half = MAX_SENTENCE // 2
    for marks in (",;:，；：、", " \t\n"):
        cut = max(text.rfind(mark, half, MAX_SENTENCE - 1) for mark in marks) + 1
        if cut:
            return cut
    return safe_cut(text, MAX_SENTENCE, half)
