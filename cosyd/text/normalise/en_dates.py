"""English dates and times as words."""

from __future__ import annotations

from re import Match

from cosyd.text.normalise.en_numbers import cardinal, digits, ordinal, year
from cosyd.text.words import words

_MONTHS = words(
    "January February March April May June July August September October November December"
)
DAY = r"(?:0?[1-9]|[12]\d|3[01])(?!\d)"
MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)


def month_name(name: str) -> str:
    return next(month for month in _MONTHS if month.startswith(name[:3]))


def date(day: str, month: int | str, the_year: str | None) -> str:
    name = _MONTHS[month - 1] if isinstance(month, int) else month_name(month)
    ending = f", {year(the_year)}" if the_year else ""
    return f"{name} {ordinal(day.lstrip('0'))}{ending}"


def _numeric_date(first: str, second: str, the_year: str, *, day_first: bool) -> str | None:
    day, month = (first, second) if day_first else (second, first)
    if int(month) > 12:
        day, month = month, day
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    if len(the_year) == 2:
        the_year = ("19" if the_year > "69" else "20") + the_year
    return date(day, int(month), the_year)


def iso_date(match: Match[str]) -> str:
    spelt = _numeric_date(match[2], match[3], match[1], day_first=False)
    return spelt or match[0].replace("-", " ").replace("/", " ")


def slashed_date(match: Match[str]) -> str:
    spelt = _numeric_date(match[1], match[3], match[4], day_first=match[2] != "/")
    return spelt or match[0]


def time(match: Match[str]) -> str:
    hour, minute, second = match[1], match[2], match[3]
    half = match[4]
    spelt = [cardinal(hour.lstrip("0") or "0")]
    if minute != "00":
        spelt.append(f"oh {digits(minute[1])}" if minute[0] == "0" else cardinal(minute))
    elif second is None and not half:
        spelt.append("o'clock" if 1 <= int(hour) <= 12 else "hundred")
    if second is not None:
        spelt.append(f"and {cardinal(second.lstrip('0') or '0')} seconds")
    return " ".join(spelt) + (f" {half.upper()}.M" if half else "")
