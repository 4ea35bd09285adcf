"""Text as it is written → segments: what the language model is given in one go.

Whole sentences are joined up to about 80 text tokens. A sentence whose end has not been written
yet gives its words as they come: its segment stays open, and the model goes on with what follows.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cosyd.engines.base import Span
from cosyd.engines.cosyvoice2.spelling import Speller, without_control
from cosyd.engines.cosyvoice2.text import (
    MAX_LENGTH,
    MERGE_LENGTH,
    MIN_LENGTH,
    contains_chinese,
)
from cosyd.text.segment import Segment as Sentence
from cosyd.text.segment import Segmenter
from cosyd.text.split import Budget

ALONE: Final = 10
"""Text tokens: while more text may come, a segment ends with its sentence from here on."""
COMMA_LENGTH: Final = 120
"""A segment inside one long sentence ends behind a comma from here on …"""
HARD_LENGTH: Final = 160
"""… and anywhere from here on: what the flow keeps grows with it."""
AFTER_NUMBER: Final = 4
"""Words that are waited for behind a number or sign: "3" may go on with "million dollars"."""

_ONE_SENTENCE = (Budget(whole=10**6, low=1, soft=10**6),)
_WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\U00020000-\U000323af"
_STEP = re.compile(rf"\s*(?:[{_WIDE}]{{8}}|[{_WIDE}]+(?=[^{_WIDE}])|[^\s{_WIDE}]+(?=[\s{_WIDE}]))")
"""A word that is sure to be whole, or eight characters of a script without blanks."""
_UNSURE = re.compile(r"[\d$€£¥%+=@#°/\\*_~^|{}]")
_COMMA = re.compile(r"[,，、;；:：]\s*$")


class Unit(NamedTuple):
    """Text that stands together: its tokens, and the characters that they speak."""

    tokens: tuple[int, ...]
    at: Span
    sentence: Span | None = None
    """The sentence that begins with it."""


class _Part(NamedTuple):
    """A unit that no segment has taken yet."""

    text: str
    at: Span
    sentence: Span | None
    length: int
    cuttable: bool
    """Whether a segment may end before it."""
    ends: bool
    """Whether its sentence ends with it."""
    paragraph: bool
    """Whether a paragraph begins with it."""


@dataclass(slots=True)
class Segment:
    """One utterance of the language model."""

    paragraph: bool
    """A paragraph begins with it, and something came before."""
    units: list[Unit] = field(default_factory=list)
    length: int = 0
    closed: bool = False
    """Whether all of it is there."""
    at_sentence_end: bool = False
    text: str = ""
    """Of the last unit."""


class Front:
    """The text of one utterance. `write` takes it, `begin` and `extend` give it out lazily."""

    def __init__(self, speller: Speller) -> None:
        self._speller = speller
        self._sentences = Segmenter(_ONE_SENTENCE)
        self._parts: deque[_Part] = deque()
        self._written = 0
        self._flushed = -1
        self._final = False
        self._taken = 0  # characters given out of the sentence that is not whole yet, or before it
        self._open_sentence = -1  # where that begins, once something of it was given out
        self._begun = False

    def write(self, text: str, *, final: bool, flush: bool) -> None:
        """Append text; see `base.EngineStream.write`."""
        self._sentences.write(text, final=final, flush=flush)
        self._written += len(text)
        self._final = self._final or final
        if flush:
            self._flushed = self._written

    @property
    def waiting(self) -> bool:
        """Whether there is text that no segment has."""
        return self._fetch(1)

    @property
    def done(self) -> bool:
        """Whether the last text was written and segments have all of it."""
        return self._final and not self._fetch(1)

    @property
    def complete(self) -> bool:
        """Whether nothing that was written may go on: it was the last, or to be spoken as it is."""
        return self._final or self._flushed == self._written

    def begin(self) -> Segment | None:
        """The next segment, closed if all of it is there; None: there is no text for one."""
        if not self._fetch(1):
            return None
        segment = Segment(paragraph=self._parts[0].paragraph and self._begun)
        self._begun = True
        self.extend(segment)
        return segment

    def extend(self, segment: Segment) -> None:
        """Append to an open segment what belongs to it; close it where it ends."""
        while not segment.closed and self._fetch(1):
            if segment.units and self._ends_before(segment, self._parts[0]):
                segment.closed = True
                return
            self._append(segment, self._parts.popleft())
        segment.closed = segment.closed or self.complete

    def _append(self, segment: Segment, part: _Part) -> None:
        text = part.text
        if segment.units and part.cuttable and not contains_chinese(text):
            text = " " + text.lstrip()
        segment.units.append(Unit(tuple(self._speller.tokens(text)), part.at, part.sentence))
        segment.length += part.length
        segment.text = part.text
        segment.at_sentence_end = part.ends
        segment.closed = part.ends and not self._final and segment.length >= ALONE

    def _ends_before(self, segment: Segment, part: _Part) -> bool:
        if part.paragraph:
            return True
        if not part.cuttable:
            comma = _COMMA.search(segment.text) is not None
            return segment.length >= (COMMA_LENGTH if comma else HARD_LENGTH)
        full = segment.length > MIN_LENGTH and segment.length + part.length > MAX_LENGTH
        return full and not self._rest_is_short()

    def _rest_is_short(self) -> bool:
        """Whether what is left is too short for a segment of its own."""
        if not self._final:
            return False
        self._fetch(MERGE_LENGTH)
        return sum(part.length for part in self._parts) < MERGE_LENGTH

    # text → parts -------------------------------------------------------------------------

    def _fetch(self, length: int) -> bool:
        """Look at text until parts of this length are there, if so much is; whether any is."""
        while sum(part.length for part in self._parts) < length:
            sentence = self._sentences.take()
            if sentence is not None:
                self._parts.extend(self._whole(sentence))
            elif self._final or not self._fetch_words():
                break
        return bool(self._parts)

    def _whole(self, sentence: Sentence) -> Iterator[_Part]:
        span = Span(sentence.sentence_start, sentence.sentence_end)
        if self._open_sentence == span.start:  # its beginning was given out before
            yield from self._rest(sentence.text[self._taken - span.start :], span)
            return
        pieces = self._speller.pieces(sentence.text)
        lengths = [max(1, self._speller.length(piece)) for piece in pieces]
        start, done = span.start, 0
        for index, (piece, length) in enumerate(zip(pieces, lengths, strict=True)):
            done += length
            end = span.start + (span.end - span.start) * done // sum(lengths)
            yield _Part(
                piece,
                Span(start, end),
                None if index else span,
                length,
                cuttable=True,
                ends=index == len(pieces) - 1,
                paragraph=sentence.paragraph and not index,
            )
            start = end

    def _rest(self, text: str, sentence: Span) -> Iterator[_Part]:
        """The words of a sentence that were not given out while it was written."""
        self._open_sentence = -1
        at, groups = self._taken, _groups(text)
        end = sum(map(len, groups))
        last = text[end:]
        if any(char.isalnum() for char in last) or not groups:
            groups.append(last)
        else:
            groups[-1] += last
        for index, group in enumerate(groups):
            span = Span(at, at + len(group))
            yield self._part(group, span, None, ends=index == len(groups) - 1)
            at = span.end
        self._taken = sentence.end

    def _fetch_words(self) -> bool:
        """Turn the sure words of the unfinished sentence into parts; whether there were any."""
        start, text = self._sentences.unfinished
        fresh = start != self._open_sentence
        at = start if fresh else self._taken
        groups = _groups(text[at - start :])
        for group in groups:
            span = Span(at, at + len(group))
            first = Span(start, start + len(text.rstrip())) if fresh else None
            self._parts.append(self._part(group, span, first, ends=False))
            at, fresh = span.end, False
        if groups:
            self._open_sentence, self._taken = start, at
        return bool(groups)

    def _part(self, text: str, at: Span, sentence: Span | None, *, ends: bool) -> _Part:
        spoken = self._speller.words(text) or _marks(text)
        length = self._speller.length(spoken)
        return _Part(spoken, at, sentence, length, sentence is not None, ends, paragraph=False)


def _marks(text: str) -> str:
    """Of a group with nothing to say in it what ends a sentence: the voice falls or rises there."""
    clean = without_control(text).strip()
    return clean if clean and all(char in ".,!?;:…。，！？；：、" for char in clean) else ""


def _groups(text: str) -> list[str]:
    """The words at the beginning of `text` that are sure, in groups; they are left joined.

    A group is one word, or a number or sign with the `AFTER_NUMBER` words behind it. The groups
    depend on the text alone, not on how much of what follows is there.
    """
    groups: list[str] = []
    held, plain = "", 0
    for match in _STEP.finditer(text):
        if match.start() != sum(map(len, groups)) + len(held):
            break
        word = match.group()
        if _UNSURE.search(word):
            plain = 0
        held += word
        if not _UNSURE.search(held) or (plain := plain + 1) > AFTER_NUMBER:
            groups.append(held)
            held, plain = "", 0
    return groups
