"""Phonemes and the model's ids for them.

`vocab.json` is the table of Kokoro-82M's published configuration (Apache-2.0).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

MAX_PHONEMES = 510
"""Of one inference; the model's positions, less the two zeros around."""

_BREAKS = tuple(re.compile(pattern) for pattern in (r"[.!?…]\s+", r"[,;:—]\s*", r"\s+"))


@lru_cache(maxsize=1)
def _table() -> dict[str, int]:
    data = (Path(__file__).parent / "vocab.json").read_text(encoding="utf-8")
    table: dict[str, int] = json.loads(data)
    return table


def ids(phonemes: str) -> list[int]:
    """The ids of the phonemes that the model knows; others are left out."""
    table = _table()
    return [table[phoneme] for phoneme in phonemes if phoneme in table]


def known(phonemes: str) -> str:
    """`phonemes` without those that the model does not know."""
    table = _table()
    return "".join(phoneme for phoneme in phonemes if phoneme in table)


def pieces(phonemes: str, longest: int = MAX_PHONEMES) -> list[str]:
    """`phonemes` in pieces of at most `longest`, cut at punctuation or spaces if there are any."""
    out = []
    while len(phonemes) > longest:
        cut = _last_break(phonemes, longest)
        out.append(phonemes[:cut].strip())
        phonemes = phonemes[cut:].strip()
    return [*out, phonemes] if phonemes else out


def _last_break(phonemes: str, longest: int) -> int:
    for pattern in _BREAKS:
        ends = [match.end() for match in pattern.finditer(phonemes, 0, longest)]
        if ends and ends[-1] >= longest // 3:
            return ends[-1]
    return longest
