"""Text as a person would read it out: words and punctuation only."""

from __future__ import annotations

import re

from cosyd.text.normalise import en, zh
from cosyd.text.normalise.common import (
    fold,
    speak_addresses,
    speak_emoji,
    speak_foreign,
    strip_markup,
)

_SPACES = re.compile(r"\s+")
_DOUBLED = re.compile(r"\s*[,，](?:\s*[,，])+")
_COMMA_FIRST = re.compile(r"^[\s,，]+|\s+(?=[,.!?;:，。！？；：])")
_COMMA_LAST = re.compile(r"[\s,，]+([.!?。！？]+)$")


def normalise(text: str, language: str) -> str:
    """`text` in words of `language` ("en" or "zh"): numbers, signs, emoji and addresses spoken.

    Foreign scripts come out romanised. "" means that there is nothing speakable.
    """
    rules = zh if language == "zh" else en
    text = strip_markup(fold(speak_emoji(text, language)))
    text = speak_addresses(text, rules.ADDRESS_SIGNS)
    text = speak_foreign(rules.speak(text))
    return _tidy(text)


def _tidy(text: str) -> str:
    text = _SPACES.sub(" ", text)
    text = _DOUBLED.sub(",", text)
    text = _COMMA_FIRST.sub("", text).strip()
    return _COMMA_LAST.sub(r"\1", text).strip()


__all__ = ["normalise"]
