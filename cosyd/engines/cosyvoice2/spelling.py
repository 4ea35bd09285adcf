"""Text → what the language model reads: words for numbers and signs, nothing that controls it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from cosyd.engines.cosyvoice2 import text as rules
from cosyd.engines.cosyvoice2.tokenizer import COSYVOICE_ADDED, END_OF_PROMPT, QWEN_ADDED, Tokenizer
from cosyd.text.normalise import en, zh
from cosyd.text.normalise.common import speak_addresses, strip_markup

_CONTROL = re.compile(r"<\|[^|]*\|>")
_HALVES = re.compile(r"<\||\|>")
_SOUNDS = re.compile(
    "(" + "|".join(re.escape(mark) for mark in COSYVOICE_ADDED if mark != END_OF_PROMPT) + ")"
)
"""Marks such as [breath] that the model was trained to voice: they stay as they are."""
_NEEDS_WORDS = re.compile(r"[\d$€£¥&%+=@#°℃/\\*_~^|<>{}]|[A-Za-z]\.")
_PICTURES_FROM: Final = "\u2190"
_INVISIBLE = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff\U0001f3fb-\U0001f3ff]"
)
_LONGEST: Final = 100
"""Text tokens: a piece with no better place than commas is cut there from here on …"""
_HARD: Final = 160
"""… and without commas between words from here on: what the flow keeps grows with it."""
_WORD: Final = 40
"""Characters in which a blank is looked for; some scripts have none."""


class Speller:
    """Front end of one model; immutable.

    Args:
        tokenizer: of the release.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        control = (*QWEN_ADDED, END_OF_PROMPT)
        self._control = frozenset(id_ for mark in control for id_ in tokenizer.encode(mark))

    def pieces(self, text: str) -> list[str]:
        """A whole sentence → pieces of some 80 text tokens at most; none: nothing to say."""
        clean = without_control(text)
        found = rules.pieces(clean, count=self._tokenizer.count, speak=words)
        return [part for piece in found for part in self._parts(piece) if is_speakable(part)]

    def words(self, text: str) -> str:
        """A part of a sentence whose end is not there yet; "" if there is nothing to say in it."""
        clean = without_control(text)
        spoken = words(clean, "zh" if rules.contains_chinese(clean) else "en")
        return spoken if is_speakable(spoken) else ""

    def tokens(self, text: str) -> list[int]:
        """Text tokens of words; none that controls the model."""
        return [id_ for id_ in self._tokenizer.encode(text) if id_ not in self._control]

    def words_of(self, transcript: str) -> list[int]:
        """Text tokens of what is said in a recording; none if nothing is known."""
        clean = without_control(transcript).strip()
        return self.tokens(clean) if is_speakable(clean) else []

    def instruction(self, text: str) -> list[int]:
        """Text tokens of words on how to speak, with the mark that the text follows."""
        return [*self.tokens(without_control(text)), *self._tokenizer.encode(END_OF_PROMPT)]

    def length(self, text: str) -> int:
        """As the original measures: Chinese in characters, others in text tokens."""
        return len(text) if rules.contains_chinese(text) else self._tokenizer.count(text)

    def _parts(self, piece: str) -> list[str]:
        if self.length(piece) <= _LONGEST:
            return [piece]
        language = "zh" if rules.contains_chinese(piece) else "en"
        clauses = rules.split_paragraph(
            piece, count=self._tokenizer.count, language=language, at_commas=True
        )
        return [part for clause in clauses for part in self._cut(clause)]

    def _cut(self, clause: str) -> Iterator[str]:
        """A clause that is far too long, in parts of about the same length, between words."""
        count = -(-self.length(clause) // _LONGEST) if self.length(clause) > _HARD else 1
        start = 0
        for index in range(1, count):
            at = len(clause) * index // count
            blank = clause.find(" ", at, at + _WORD)
            end = at if blank < 0 else blank
            yield clause[start:end]
            start = end
        yield clause[start:]


def without_control(text: str) -> str:
    """`text` without the marks that control the model, and without pictures."""
    text = _HALVES.sub(" ", _CONTROL.sub(" ", text))
    text = _INVISIBLE.sub("", text)
    return "".join(char for char in text if not _is_picture(char))


def _is_picture(char: str) -> bool:
    return char >= _PICTURES_FROM and unicodedata.category(char) in ("So", "Cs", "Co", "Cn")


def is_speakable(text: str) -> bool:
    """Whether there is a letter, a number or a sound to make in it."""
    return any(char.isalnum() for char in text)


def words(text: str, language: str) -> str:
    """Numbers, signs and addresses as words of `language` ("zh" or "en")."""
    if not _NEEDS_WORDS.search(text):
        return text
    return "".join(
        part if index % 2 else _spoken(part, language)
        for index, part in enumerate(_SOUNDS.split(text))
    )


def _spoken(text: str, language: str) -> str:
    if not text.strip():
        return text
    spoken = zh if language == "zh" else en
    out = spoken.speak(speak_addresses(strip_markup(text), spoken.ADDRESS_SIGNS))
    out = re.sub(r"[ \t]+", " ", out).strip()
    lead = text[: len(text) - len(text.lstrip())]
    return lead[-1:] + out + text[len(text.rstrip()) :][:1]
