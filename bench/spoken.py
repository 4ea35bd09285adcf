"""Texts as they are spoken, so that "7:30" and "seven thirty" count as the same words.

Made for what a recogniser writes of some twenty known sentences, not for any text. It shares
nothing with the front ends that are measured by it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

_ONES: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS: Final = (
    *("", "", "twenty", "thirty", "forty", "fifty"),
    *("sixty", "seventy", "eighty", "ninety"),
)
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_WRITTEN_OUT: Final = {"dr": "doctor", "mr": "mister", "mrs": "missus", "kg": "kilograms"}
_MONTHS: Final = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
)
_BIG: Final = frozenset({"hundred", "thousand", "million", "dollars", "dollar"})
"""Words after which an "and" before another number is a matter of taste."""
_NUMBER_WORDS: Final = frozenset({*_ONES, *_TENS[2:]})


def cardinal(value: int) -> str:
    """Up to 999,999, in words.

    >>> cardinal(1205)
    'one thousand two hundred five'
    """
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _joined(_TENS[value // 10], value % 10)
    size, name = (1000, "thousand") if value >= 1000 else (100, "hundred")
    return _joined(f"{cardinal(value // size)} {name}", value % size)


def _joined(head: str, rest: int) -> str:
    return f"{head} {cardinal(rest)}" if rest else head


def ordinal(value: int) -> str:
    """The same as an ordinal number."""
    *head, last = cardinal(value).split()
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*head, _ORDINALS.get(last, regular)])


def year(value: int) -> str:
    """1100 to 2099 as years are read; round hundreds as numbers, which they mostly are."""
    century, rest = divmod(value, 100)
    if rest == 0 or 2000 <= value < 2010:
        return cardinal(value)
    between = " oh " if rest < 10 else " "
    return f"{cardinal(century)}{between}{cardinal(rest)}"


def _time(match: re.Match[str]) -> str:
    hour, minute = (int(group) for group in match.groups() if group is not None)
    return f" {cardinal(hour)} {cardinal(minute) if minute else 'oclock'} "


def _date(match: re.Match[str]) -> str:
    month, day = match[0].split()
    return f"{month} {ordinal(int(day))}"


def _price(match: re.Match[str]) -> str:
    dollars, cents = int(match[1].replace(",", "")), int(match[2] or 0)
    unit = "dollar" if dollars == 1 else "dollars"
    return f" {cardinal(dollars)} {unit} " + (f"and {cardinal(cents)} cents " if cents else "")


def _decimal(match: re.Match[str]) -> str:
    digits = " ".join(_ONES[int(digit)] for digit in match[2])
    return f" {cardinal(int(match[1]))} point {digits} "


def _integer(match: re.Match[str]) -> str:
    value = int(match[0].replace(",", ""))
    bare_year = "," not in match[0] and 1100 <= value < 2100
    return f" {year(value) if bare_year else cardinal(value)} "


_Rules = tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]
_ENGLISH: Final[_Rules] = (
    (re.compile(r"\$(\d[\d,]*)(?:\.(\d\d))?"), _price),
    (re.compile(r"\b(\d{1,2}):(\d\d)\b"), _time),
    # a full stop between hour and minutes; nobody writes a decimal fraction with a last 0
    (re.compile(r"\b(\d{1,2})\.(\d\d)(?=\s*[ap]\.?m\b)|\b(\d{1,2})\.([0-5]0)\b"), _time),
    (re.compile(r"\b(\d+)(?:st|nd|rd|th)\b"), lambda match: ordinal(int(match[1]))),
    (re.compile(rf"\b(?:{_MONTHS}) \d{{1,2}}\b"), _date),
    (re.compile(r"\b(\d+)\.(\d+)\b"), _decimal),
    (re.compile(r"\d{1,3}(?:,\d{3})+|\d+"), _integer),
)


def english(text: str) -> list[str]:
    """Its words, lower case, without punctuation, numbers in words."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("%", " percent ")
    text = re.sub(r"(?<=\d)(?=kg\b)", " ", text)
    for pattern, read in _ENGLISH:
        text = pattern.sub(read, text)
    text = re.sub(r"\b((?:[a-z]\.){2,})", lambda match: match[1].replace(".", ""), text)
    text = re.sub(r"(?<=[a-z])'(?=[a-z])", "", text)
    words = re.findall(r"[a-z]+", text.replace("per cent", "percent"))
    words = [_WRITTEN_OUT.get(word, word) for word in words]
    return [word for at, word in enumerate(words) if not _idle_and(words, at)]


def _idle_and(words: list[str], at: int) -> bool:
    if words[at] != "and" or not 0 < at < len(words) - 1:
        return False
    return words[at - 1] in _BIG and words[at + 1] in _NUMBER_WORDS


# Chinese -----------------------------------------------------------------------------------

_DIGITS: Final = "零一二三四五六七八九"
_FOLDED: Final = str.maketrans("两〇她它", "二零他他")
"""Written differently, and read alike or meaning the same."""


def hanzi(value: int) -> str:
    """Up to 99,999,999, as it is read.

    >>> hanzi(299), hanzi(10), hanzi(1005)
    ('二百九十九', '十', '一千零五')
    """
    if value >= 10_000:
        head, rest = divmod(value, 10_000)
        gap = "零" if 0 < rest < 1000 else ""
        return f"{hanzi(head)}万{gap}{hanzi(rest) if rest else ''}"
    read = ""
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, size)
        if digit:
            read += _DIGITS[digit] + name
        elif read and value and not read.endswith("零"):
            read += "零"
    read = read or "零"
    return read[1:] if read.startswith("一十") else read


def _one_by_one(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def _clock(match: re.Match[str]) -> str:
    hour, minute = (int(group) for group in match.groups() if group is not None)
    return hanzi(hour) + "点" + (f"{hanzi(minute)}分" if minute else "")


def _percent(match: re.Match[str]) -> str:
    return "百分之" + _hanzi_decimal(match[1])


def _hanzi_decimal(digits: str) -> str:
    whole, _, fraction = digits.replace(",", "").partition(".")
    return hanzi(int(whole)) + (f"点{_one_by_one(fraction)}" if fraction else "")


_CHINESE: Final[_Rules] = (
    (re.compile(r"(\d{1,2}):(\d\d)分?|(\d{1,2})\.(\d\d)分"), _clock),
    (re.compile(r"(\d[\d,]*(?:\.\d+)?)%"), _percent),
    (re.compile(r"(\d{4})(?=年)"), lambda match: _one_by_one(match[1])),
    (re.compile(r"[¥￥](\d[\d,]*(?:\.\d+)?)"), lambda match: _hanzi_decimal(match[1]) + "元"),
    (re.compile(r"\d[\d,]*(?:\.\d+)?"), lambda match: _hanzi_decimal(match[0])),
)


def chinese(text: str) -> list[str]:
    """Its characters, without punctuation, numbers as they are read; a Latin word is one piece.

    The text must be simplified already.
    """
    text = unicodedata.normalize("NFKC", text).lower()
    for pattern, read in _CHINESE:
        text = pattern.sub(read, text)
    text = re.sub(r"(?<=[a-z])-(?=[a-z])", "", text)
    return re.findall(r"[a-z]+|[\u4e00-\u9fff]", text.translate(_FOLDED))
