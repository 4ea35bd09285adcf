"""Numbers as English words, the American way (no "and")."""

from __future__ import annotations

from cosyd.text.words import words

_ONES = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = words("twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = ("", " thousand", " million", " billion", " trillion", " quadrillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LARGEST_DIGITS = 3 * len(_SCALES)
"""Longer numbers are read digit by digit."""


def digits(text: str) -> str:
    """ "407" → "four zero seven"; anything but digits is left out."""
    return " ".join(_ONES[int(char)] for char in text if char.isdecimal())


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    out = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        out.append(_TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else ""))
    elif rest:
        out.append(_ONES[rest])
    return " ".join(out)


def cardinal(text: str) -> str:
    """ "1,234" → "one thousand two hundred thirty-four"; "007" and very long ones by digits."""
    plain = "".join(char for char in text if char.isdecimal())
    if len(plain) > LARGEST_DIGITS or (len(plain) > 1 and plain[0] == "0"):
        return digits(plain)
    value = int(plain)
    if value == 0:
        return "zero"
    out = []
    for scale in _SCALES:
        value, group = divmod(value, 1000)
        if group:
            out.append(_below_thousand(group) + scale)
    return " ".join(reversed(out))


def number(text: str) -> str:
    """A number with or without commas, sign and decimals: "-1,234.50"."""
    sign = "minus " if text[0] in "-−" else ""
    whole, point, decimals = text.lstrip("+-−").partition(".")
    spelt = cardinal(whole) if whole else "zero"
    return sign + spelt + (f" point {digits(decimals)}" if point and decimals else "")


def ordinal(text: str) -> str:
    """ "21" → "twenty-first"."""
    spelt = cardinal(text)
    cut = max(spelt.rfind(" "), spelt.rfind("-")) + 1
    last = spelt[cut:]
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return spelt[:cut] + last


def year(text: str) -> str:
    """ "1999" → "nineteen ninety-nine"; what is not four digits is a cardinal."""
    if len(text) != 4 or text[0] == "0" or text[1:3] == "00":
        return cardinal(text)
    if text[2:] == "00":
        return f"{cardinal(text[:2])} hundred"
    low = f"oh {digits(text[3])}" if text[2] == "0" else cardinal(text[2:])
    return f"{cardinal(text[:2])} {low}"


def plural(text: str) -> str:
    """ "nineteen ninety" → "nineteen nineties"."""
    if text.endswith("y"):
        return text[:-1] + "ies"
    return text + ("es" if text.endswith(("x", "s")) else "s")


def decade(text: str) -> str:
    """ "1990" → "nineteen nineties", "80" → "eighties"."""
    return plural(year(text) if len(text) == 4 else cardinal(text))
