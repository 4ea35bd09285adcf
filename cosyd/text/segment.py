"""Text in pieces → segments to speak, as soon as a sentence is whole.

Only the text of the sentence that is waiting for its end is held back, at most
`sentences.VIEW` characters; what has been written and not taken yet is the caller's to bound.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from cosyd.text.characters import is_wide
from cosyd.text.language import detect
from cosyd.text.sentences import VIEW, WRAP_COLUMNS, find_end
from cosyd.text.split import BUDGETS, Budget, segment_ends

BLOCK = 4096
"""Characters looked at in one go, so that long text is not copied over and over."""

_BLANK = re.compile(r"\s*")
_NEWLINES = "\n\x0b\x85\u2028"
_PAGES = "\x0c\u2029"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text to speak in one go. Positions count characters of all text written."""

    text: str
    start: int
    end: int
    sentence_start: int
    sentence_end: int
    first: bool
    """The first of its sentence."""
    last: bool
    """The last of its sentence."""
    paragraph: bool
    """A new paragraph begins with it."""
    language: str | None
    """Of the whole sentence, see `language.detect`."""


class Segmenter:
    """Cuts text that arrives in pieces into segments.

    `write` takes text of any length; `take` gives the segments, one at a time and lazily.
    Without `flush` the segments do not depend on how the text was cut into pieces, except where a
    piece ends right behind a mark that nearly always ends a sentence (see `sentences`).
    """

    def __init__(self, budgets: tuple[Budget, ...] = BUDGETS) -> None:
        self._budgets = budgets
        self._blocks: deque[str] = deque()  # written, not looked at yet
        self._text = ""  # what is being looked at
        self._offset = 0  # of _text[0] in all text
        self._start = 0  # in _text: where the next sentence begins
        self._scan = 0
        self._column = 0
        self._written = 0
        self._stops: deque[int] = deque()  # in all text: where a flush ended what was there
        self._final = False
        self._count = 0
        self._newlines = 0
        self._ready: deque[Segment] = deque()

    @property
    def done(self) -> bool:
        """Whether the text was final and all of it has been taken."""
        return self._final and self.peek() is None

    def write(self, text: str, *, final: bool = False, flush: bool = False) -> None:
        """Append `text`; `flush`: end the sentence here; `final`: the last of it."""
        if self._final:
            raise ValueError("text after the final text")
        self._blocks.extend(text[i : i + BLOCK] for i in range(0, len(text), BLOCK))
        self._written += len(text)
        self._final = final
        if (flush or final) and (not self._stops or self._stops[-1] < self._written):
            self._stops.append(self._written)

    def peek(self) -> Segment | None:
        """The next segment, left in place; None: more text must come, or it was final."""
        if not self._ready:
            self._next_sentence()
        return self._ready[0] if self._ready else None

    def take(self) -> Segment | None:
        """The next segment, or None: more text must come, or it was final."""
        segment = self.peek()
        if segment is not None:
            self._ready.popleft()
        return segment

    @property
    def unfinished(self) -> tuple[int, str]:
        """Where the sentence begins whose end is not known yet, and what is there of it."""
        self.peek()
        return self._offset + self._start, "" if self._ready else self._text[self._start :]

    def _next_sentence(self) -> None:
        self._skip_blank()
        if not self._text:
            return
        stop = self._stops[0] - self._offset if self._stops else None
        view = self._text[self._start : self._start + VIEW][: stop and stop - self._start]
        complete = stop == self._start + len(view)
        found = find_end(view, self._scan, self._column, complete=complete)
        self._scan = found.scan
        if found.end is not None:
            self._emit(view[: found.end])

    def _fill(self) -> None:
        """Look at a view's worth of text, if that much is there."""
        parts = [self._text[self._start :]]
        length = len(parts[0])
        while self._blocks and length < VIEW:
            parts.append(self._blocks.popleft())
            length += len(parts[-1])
        self._offset += self._start
        self._start = 0
        self._text = "".join(parts)

    def _skip_blank(self) -> None:
        """Move to the next non-blank character, counting lines and passing flush points."""
        while True:
            if self._blocks and len(self._text) - self._start < VIEW:
                self._fill()
            match = _BLANK.match(self._text, self._start)
            begin = match.end() if match else self._start
            if begin > self._start:
                self._newlines += _count_newlines(self._text[self._start : begin])
                self._advance(begin)
            if begin < len(self._text) or not self._blocks:
                break
        while self._stops and self._stops[0] <= self._offset + self._start:
            self._stops.popleft()
        if self._start == len(self._text):
            self._offset += self._start
            self._text, self._start = "", 0

    def _advance(self, position: int) -> None:
        passed = self._text[max(self._start, position - WRAP_COLUMNS) : position]
        line = re.split(f"[{_NEWLINES}{_PAGES}]", passed)
        width = sum(2 if is_wide(char) else 1 for char in line[-1])
        self._column = min(WRAP_COLUMNS, width + (self._column if len(line) == 1 else 0))
        self._start = position

    def _emit(self, sentence: str) -> None:
        base = self._offset + self._start
        language = detect(sentence)
        pieces = _pieces(sentence, segment_ends(sentence, self._count, self._budgets))
        for start, end in pieces:
            segment = Segment(
                text=sentence[start:end],
                start=base + start,
                end=base + end,
                sentence_start=base,
                sentence_end=base + len(sentence),
                first=start == 0,
                last=end == len(sentence),
                paragraph=start == 0 and self._count > 0 and self._newlines > 1,
                language=language,
            )
            self._ready.append(segment)
            self._count += 1
        self._newlines = 0
        self._advance(self._start + len(sentence))


def _pieces(sentence: str, ends: list[int]) -> list[tuple[int, int]]:
    """(start, end) of what lies between `ends`, without the blanks around it."""
    pieces = []
    for start, end in zip([0, *ends], ends, strict=False):
        piece = sentence[start:end]
        start += len(piece) - len(piece.lstrip())
        if stripped := piece.strip():
            pieces.append((start, start + len(stripped)))
    return pieces


def _count_newlines(blank: str) -> int:
    newlines = sum(blank.count(char) for char in _NEWLINES)
    return newlines + 2 * sum(blank.count(char) for char in _PAGES)
