"""What single characters are: script, weight in speech, and where a text may be cut."""

from __future__ import annotations

import re
import unicodedata

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Chinese characters, for use inside a regular expression's brackets."""
LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
"""Latin letters, accented ones too, for use inside a regular expression's brackets."""

_HAN_CHAR = re.compile(f"[{HAN}]")
_WIDE = re.compile(f"[{HAN}\u3040-\u30ff\uac00-\ud7a3]")
_EXTENDING = frozenset("\u200d\u200c\ufe0e\ufe0f\u20e3")
_MARKS = frozenset({"Mn", "Mc", "Me"})


def is_han(char: str) -> bool:
    """Whether `char` is a Chinese character."""
    return _HAN_CHAR.match(char) is not None


def is_wide(char: str) -> bool:
    """Whether `char` is a Chinese character, Japanese kana or Korean syllable."""
    return _WIDE.match(char) is not None


def weight(char: str) -> int:
    """About how much speech `char` is, in Latin letters: a syllable or a digit is three."""
    if char < "\u0250":
        return 3 if char.isdigit() else 1
    if is_wide(char):
        return 3
    return 8 if unicodedata.category(char) == "So" else 1


def _extends(char: str) -> bool:
    return (
        char in _EXTENDING
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= char <= "\U000e007f"  # the letters of a region's flag
        or (char > "\u02ff" and unicodedata.category(char) in _MARKS)
    )


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _joined(text: str, at: int) -> bool:
    """Whether the characters on both sides of `at` belong to one visible character."""
    if _extends(text[at]) or text[at - 1] == "\u200d":
        return True
    if not (_is_regional(text[at]) and _is_regional(text[at - 1])):
        return False
    first = at
    while first > 0 and _is_regional(text[first - 1]):
        first -= 1
    return (at - first) % 2 == 1  # flags are pairs of letters


def safe_cut(text: str, at: int, low: int = 0) -> int:
    """The last position in `low+1…at` that cuts no visible character; `at` if there is none."""
    for cut in range(at, low, -1):
        if cut >= len(text) or not _joined(text, cut):
            return cut
    return at
