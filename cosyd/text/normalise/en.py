"""English: numbers, dates, prices, units, signs and abbreviations as words.

Rules run in order, most specific first; each sees what the earlier ones left. No grammar of
wetext here: its English says "seven thirty" but "five point nine nine dollars" and "the one
thousand nine hundred and ninety seconds", and importing it costs 0.3 s.
"""

from __future__ import annotations

import re
from re import Match

from cosyd.text.normalise.common import Rule, apply, letters
from cosyd.text.normalise.en_dates import DAY, MONTH, date, iso_date, month_name, slashed_date, time
from cosyd.text.normalise.en_numbers import cardinal, decade, digits, number, ordinal, year
from cosyd.text.normalise.en_signs import ADDRESS_SIGNS, SIGNS
from cosyd.text.normalise.en_units import MAGNITUDE, UNIT, money, unit
from cosyd.text.words import words

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_FREE = r"(?<![\w.,/:])"  # nothing that belongs to a number or word before
_OPEN = r"(?![\w/:]|[.,]\d)"  # and nothing behind
_FRACTIONS = {"1/2": "one half", "1/4": "one quarter", "3/4": "three quarters"}


def _fraction(match: Match[str]) -> str:
    whole, top, bottom = match[1], match[2], match[3]
    spelt = _FRACTIONS.get(f"{top}/{bottom}")
    if spelt is None:
        part = (
            ordinal(bottom) if bottom not in ("2", "4") else {"2": "half", "4": "quarter"}[bottom]
        )
        spelt = f"{cardinal(top)} {part}{'s' if top != '1' else ''}".replace("halfs", "halves")
    if not whole:
        return spelt
    return f"{number(whole)} and {spelt.replace('one ', 'a ', 1) if top == '1' else spelt}"


_ROMAN = {"I": 1, "V": 5, "X": 10}


def _roman(text: str) -> str:
    values = [_ROMAN[char] for char in text]
    following = [*values[1:], 0]
    return str(sum(-a if a < b else a for a, b in zip(values, following, strict=True)))


def _phone(match: Match[str]) -> str:
    plus = "plus " if match[0].startswith("+") else ""
    return plus + ", ".join(digits(group) for group in re.findall(r"\d+", match[0]))


def _version(match: Match[str]) -> str:
    prefix = "version " if match[1] else ""
    return prefix + " point ".join(cardinal(part) for part in match[2].split("."))


def _range(match: Match[str]) -> str:
    return f"{_bare(match[1])} to {_bare(match[2])}"


def _bare(text: str) -> str:
    """A number with nothing around that tells what it is: 1900…2099 are years."""
    if re.fullmatch(r"(?:19|20)\d\d", text):
        return year(text)
    return number(text)


_ABBREVIATIONS = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Dr": "Doctor",
    "Prof": "Professor",
    "Gen": "General",
    "Col": "Colonel",
    "Sgt": "Sergeant",
    "Capt": "Captain",
    "Lt": "Lieutenant",
    "Rev": "Reverend",
    "Sen": "Senator",
    "Rep": "Representative",
    "Gov": "Governor",
    "Jr": "Junior",
    "Sr": "Senior",
    "Inc": "Incorporated",
    "Ltd": "Limited",
    "Corp": "Corporation",
    "Co": "Company",
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "Mt": "Mount",
    "approx": "approximately",
    "dept": "department",
    "Dept": "Department",
}
_ALWAYS = {
    "vs": "versus",
    "etc": "et cetera",
    "mph": "miles per hour",
    "w/o": "without",
    "w/": "with ",
}
_SPELT_WORDS = frozenset(words("IT US UK EU UN ID OK PC TV AM PM OS UI UX HR PR CEO"))
_NO_VOWEL_WORDS = frozenset(words("mr mrs ms dr vs hmm hm mm mmm shh sh psst pst pfft brr tsk nth"))


def _spelt(match: Match[str]) -> str:
    word = match[0]
    if word in _SPELT_WORDS:
        return letters(word)
    if word.islower() and word not in _NO_VOWEL_WORDS and len(word) <= 5:
        return letters(word)
    return word


def _abbreviation(match: Match[str]) -> str:
    return _ABBREVIATIONS[match[1]]


def _saint(match: Match[str]) -> str:
    return "Saint" if match["name"] else "Street"


_RULES: tuple[Rule, ...] = (
    (re.compile(r"\bC\+\+"), "C plus plus"),
    (re.compile(r"\b([CF])#(?!\w)"), r"\1 sharp"),
    (re.compile(r"(?<![\w&])#(\d+)\b"), r"number \1"),
    (re.compile(r"(?<![\w&])#(\w+)"), r"hashtag \1"),
    (re.compile(r"(?<!\w)@(\w+)"), r"at \1"),
    # dates and times
    (
        re.compile(rf"{_FREE}(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}})(?:T(?=\d\d:))?(?![\w/-])"),
        iso_date,
    ),
    (
        re.compile(rf"{_FREE}(\d{{1,2}})([/.-])(\d{{1,2}})\2(\d{{4}}|\d\d)(?![\w/-]|\.\d)"),
        slashed_date,
    ),
    (
        re.compile(rf"\b({DAY})(?:st|nd|rd|th)?\s+(?:of\s+)?({MONTH}),?\s*(\d{{4}})?(?!\w)"),
        lambda m: date(m[1], m[2], m[3]) + " ",
    ),
    (
        re.compile(rf"\b({MONTH})\s+({DAY})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?(?!\w|[:.,]\d)"),
        lambda m: date(m[2], m[1], m[3]),
    ),
    (re.compile(rf"\b({MONTH}),?\s+(\d{{4}})\b"), lambda m: f"{month_name(m[1])} {year(m[2])}"),
    (
        re.compile(
            r"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?"
            r"(?:\s?([apAP])\.?[mM]\b\.?(?=\s+[a-z]|\s*$|[^\s\w])|\s?([apAP])\.?[mM]\b)?Z?(?![\d:])"
        ),
        time,
    ),
    (
        re.compile(r"(?<![\d:.])(\d{1,2})\s?([apAP])\.?[mM]\b"),
        lambda m: f"{cardinal(m[1])} {m[2].upper()}.M",
    ),
    (re.compile(r"(?<!\w)['’](\d0)s\b"), lambda m: decade(m[1])),
    (re.compile(r"\b(\d{3}0|\d0)['’]?s\b"), lambda m: decade(m[1])),
    # money
    (re.compile(rf"({_NUMBER})([$€£¥₹])(?!\w)"), lambda m: money(m[2], m[1], None)),
    (
        re.compile(rf"((?:US|A|C|HK)?\$|[€£¥₹₩₽₿])\s?({_NUMBER}){MAGNITUDE}"),
        lambda m: money(m[1], m[2], m[3]),
    ),
    (re.compile(rf"({_NUMBER})\s([€£¥₹])(?!\w)"), lambda m: money(m[2], m[1], None)),
    # phones, versions, ranges
    (re.compile(r"(?<![\w.])\+\d{1,3}(?:[ .()-]{1,2}\d{1,5}){2,5}(?!\w)"), _phone),
    (re.compile(r"(?<![\w.])(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\w)"), _phone),
    (re.compile(r"(?<![\w.-])\d{3}-\d{4}(?![\w-])"), _phone),
    (re.compile(r"\b([vV](?:ersion )?)(\d+(?:\.\d+)+)"), _version),
    (re.compile(r"(?<![\w.,])()(\d+(?:\.\d+){2,})(?!\w)"), _version),
    (re.compile(r"\b[vV](\d+)\b"), r"version \1"),
    (
        re.compile(r"(?<![\w.,-])(\d+(?:\.\d+)?)\s?[-–—~～]\s?(\d+(?:\.\d+)?)\s?%"),
        lambda m: f"{number(m[1])} to {number(m[2])} percent",
    ),
    (
        re.compile(
            r"(?<![\w.,/+*=-])(\d{1,4}(?:\.\d+)?)[-–—～](\d{1,4}(?:\.\d+)?)(?![\w-]|[.,]\d)"
        ),
        _range,
    ),
    (re.compile(r"\b24/7\b"), "twenty-four seven"),
    (re.compile(r"\band/or\b"), "and or"),
    (re.compile(r"(?<!\w)[~≈](?=\d)"), "about "),
    (re.compile(r"(?<=\d)\s?\*\s?(?=\d)"), " times "),
    (re.compile(r"(?<=\d)\s-\s(?=[\d.]+\s?=)"), " minus "),
    (re.compile(r"(?<=\d)\s-\s(?=\d)"), " to "),
    (re.compile(r"\b(\d)['′](\d{1,2})(?:[\"”″]|'')?(?!\w)"), r"\1 feet \2"),
    (re.compile(r"\b(\d+(?:\.\d+)?)(?:in\b|[\"″](?=\s|$))"), r"\1 inches"),
    (re.compile(r"(?<![\w.])\.(?=\d)"), " point "),
    # fractions, ratios, units, ordinals
    (re.compile(r"(?<![\w./])(?:(\d+)\s)?(\d{1,2})/(\d{1,3})(?![\w/]|\.\d)"), _fraction),
    (re.compile(r"(?<![\w./])(?:(\d+)\s?)?(\d)⁄(\d)(?!\d)"), _fraction),
    (re.compile(r"(?<![\w:])(\d+):(\d+)(?![\w:])"), r"\1 to \2"),
    (re.compile(rf"(?<![\w.,])([-−]?(?:{_NUMBER}))\s?%"), lambda m: f"{number(m[1])} percent"),
    (
        re.compile(
            rf"(?<![\w.,])([-−]?(?:{_NUMBER}))[ ]?({UNIT})( squared | cubed |[23](?!\d))?"
            r"(?![\w/'’])"
        ),
        unit,
    ),
    (re.compile(r"\b(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b"), lambda m: ordinal(m[1])),
    (re.compile(r"\b[Nn]o\.\s?(?=\d)"), "number "),
    (re.compile(r"\b[Ff]igs?\.\s?(?=\d)"), "figure "),
    (re.compile(r"\bpp?\.\s?(?=\d)"), "page "),
    # Roman numerals
    (
        re.compile(
            r"\b((?:War|Chapter|Part|Act|Volume|Vol\.|Section|Phase|Type|Class|Book|Title|Scene|"
            r"Appendix|Article|Level|Stage|Mark|Bowl|Rocky|Final Fantasy)\s)([IVX]{1,5})\b"
        ),
        lambda m: m[1] + cardinal(_roman(m[2])),
    ),
    (
        re.compile(r"\b([A-Z][a-z]{2,}\s)([IVX]{2,5})\b(?!\.)"),
        lambda m: f"{m[1]}the {ordinal(_roman(m[2]))}",
    ),
    # abbreviations
    (re.compile(r"\be\.\s?g\.?(?!\w)"), "for example"),
    (re.compile(r"\bi\.\s?e\.?(?!\w)"), "that is"),
    (re.compile(r"\bSt\.?(?=(?P<name>\s[A-Z][a-z]))"), _saint),
    (re.compile(r"\bSt\.(?P<name>(?!))?"), _saint),
    (re.compile(rf"\b({'|'.join(_ABBREVIATIONS)})\.(?!\w)"), _abbreviation),
    (re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof)(?=\s[A-Z])"), _abbreviation),
    (re.compile(r"\b(vs|etc)\b\.?"), lambda m: _ALWAYS[m[1]]),
    (re.compile(r"(?<!\w)(w/o|w/)(?=\s|\w)"), lambda m: _ALWAYS[m[1]]),
    (re.compile(r"\b((?:[A-Za-z]\.){2,})(?=\s|$|[,;:!?)])"), lambda m: m[1].rstrip(".").upper()),
    # identifiers
    (re.compile(r"(?<=\w)_+(?=\w)"), " "),
    (re.compile(r"\b[Aa](?=\d)"), "Ay "),
    (re.compile(r"(?<=[A-Za-z])-(?=\d)"), " "),
    (re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])"), " "),
    # what is left of numbers
    (
        re.compile(
            r"\b((?:in|since|from|until|till|by|before|after|circa|year|during|around|of|to)\s)"
            r"(1[1-9]\d\d|20\d\d)\b(?![,.]\d)"
        ),
        lambda m: m[1] + year(m[2]),
    ),
    (re.compile(rf"(?<![\w.,])[-−]({_NUMBER})"), lambda m: f"minus {number(m[1])}"),
    (
        re.compile(r"\b\d{7,}\b(?![.,]\d)"),
        lambda m: digits(m[0]) if m[0][0] == "0" else cardinal(m[0]),
    ),
    (re.compile(_NUMBER), lambda m: f" {_bare(m[0])} "),
    # words
    (re.compile(r"\b(?:[A-Z]{2,3}|[b-df-hj-np-tv-xz]{2,5})\b(?!['’.])"), _spelt),
    (re.compile(r"(?<=\w)/(?=\w)"), " slash "),
    (re.compile(r"(?<=\w)\s-\s(?=\w)"), " — "),
)
_SIGN = re.compile("[" + re.escape("".join(SIGNS)) + "]")


def speak(text: str) -> str:
    """English text with nothing but words and punctuation left in it."""
    text = apply(_RULES, text)
    return _SIGN.sub(lambda match: f" {SIGNS[match[0]]} ", text)


__all__ = ["ADDRESS_SIGNS", "speak"]
