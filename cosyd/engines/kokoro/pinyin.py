"""One pinyin syllable → IPA, in the phonemes that Kokoro's Chinese voices were trained on.

After Duanmu, The Phonology of Standard Chinese (2007). Affricates are single signs, aspiration
is "ʰ", the vowel of zhi and zi is "ɨ", tones are → ↗ ↓ ↘ behind the vowel, neutral has none.
"""

from __future__ import annotations

import re
from functools import lru_cache

_INITIALS = {
    "zh": "ꭧ",
    "ch": "ꭧʰ",
    "sh": "ʂ",
    "b": "p",
    "p": "pʰ",
    "m": "m",
    "f": "f",
    "d": "t",
    "t": "tʰ",
    "n": "n",
    "l": "l",
    "g": "k",
    "k": "kʰ",
    "h": "x",
    "j": "ʨ",
    "q": "ʨʰ",
    "x": "ɕ",
    "r": "ɻ",
    "z": "ʦ",
    "c": "ʦʰ",
    "s": "s",
}
# The vowel part and what follows the tone.
_FINALS = {
    "a": ("a", ""),
    "ai": ("ai", ""),
    "an": ("a", "n"),
    "ang": ("a", "ŋ"),
    "ao": ("au", ""),
    "e": ("ɤ", ""),
    "ê": ("ɛ", ""),
    "ei": ("ei", ""),
    "en": ("ə", "n"),
    "eng": ("ə", "ŋ"),
    "er": ("ɚ", ""),
    "i": ("i", ""),
    "ia": ("ja", ""),
    "ian": ("jɛ", "n"),
    "iang": ("ja", "ŋ"),
    "iao": ("jau", ""),
    "ie": ("je", ""),
    "in": ("i", "n"),
    "ing": ("i", "ŋ"),
    "io": ("jɔ", ""),
    "iong": ("jʊ", "ŋ"),
    "iu": ("jou", ""),
    "o": ("wo", ""),
    "ong": ("ʊ", "ŋ"),
    "ou": ("ou", ""),
    "u": ("u", ""),
    "ua": ("wa", ""),
    "uai": ("wai", ""),
    "uan": ("wa", "n"),
    "uang": ("wa", "ŋ"),
    "ueng": ("wə", "ŋ"),
    "ui": ("wei", ""),
    "un": ("wə", "n"),
    "uo": ("wo", ""),
    "ü": ("y", ""),
    "üan": ("ɥɛ", "n"),
    "üe": ("ɥe", ""),
    "ün": ("y", "n"),
}
_WHOLE = {
    "o": ("ɔ", ""),
    "m": ("m", ""),
    "n": ("n", ""),
    "ng": ("ŋ", ""),
    "hm": ("hm", ""),
    "hng": ("hŋ", ""),
}
_SPELLINGS = {
    "yi": "i",
    "ya": "ia",
    "yan": "ian",
    "yang": "iang",
    "yao": "iao",
    "ye": "ie",
    "yin": "in",
    "ying": "ing",
    "yo": "io",
    "yong": "iong",
    "you": "iu",
    "wu": "u",
    "wa": "ua",
    "wai": "uai",
    "wan": "uan",
    "wang": "uang",
    "wei": "ui",
    "wen": "un",
    "weng": "ueng",
    "wo": "uo",
    "yu": "ü",
    "yuan": "üan",
    "yue": "üe",
    "yun": "ün",
}
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_SYLLABLE = re.compile(r"([a-zêü]+)([1-5])")
_INITIAL = re.compile("|".join(_INITIALS))


@lru_cache(maxsize=2048)
def ipa(syllable: str) -> str:
    """ "zhong1" → "ꭧʊ→ŋ"; "" for what is no syllable."""
    match = _SYLLABLE.fullmatch(syllable.replace("v", "ü"))
    if match is None:
        return ""
    initial, final = ("", "") if match[1] in _WHOLE else _split(match[1])
    parts = _WHOLE.get(match[1]) or _FINALS.get(final)
    if parts is None:
        return ""
    vowel, coda = parts
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        vowel = "ɨ"
    return _INITIALS.get(initial, "") + vowel + _TONES[match[2]] + coda


def _split(letters: str) -> tuple[str, str]:
    if letters in _SPELLINGS:
        return "", _SPELLINGS[letters]
    match = _INITIAL.match(letters)
    initial = match.group() if match else ""
    final = letters[len(initial) :]
    if initial in ("j", "q", "x") and final.startswith("u"):
        final = "ü" + final[1:]
    return initial, "üe" if final == "ue" else final
