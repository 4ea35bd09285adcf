"""English amounts: money and what is measured in units."""

from __future__ import annotations

import re
from re import Match

from cosyd.text.normalise.en_numbers import cardinal, number

_CURRENCIES = {
    "$": ("dollar", "cent"),
    "US$": ("U.S dollar", "cent"),
    "A$": ("Australian dollar", "cent"),
    "C$": ("Canadian dollar", "cent"),
    "HK$": ("Hong Kong dollar", "cent"),
    "€": ("euro", "cent"),
    "£": ("pound", "penny"),
    "¥": ("yen", "sen"),
    "₹": ("rupee", "paisa"),
    "₩": ("won", "jeon"),
    "₽": ("ruble", "kopek"),
    "₿": ("bitcoin", "satoshi"),
}
_SAME_PLURAL = {"yen": "yen", "won": "won", "penny": "pence", "sen": "sen", "paisa": "paise"}
_MAGNITUDES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion"}
MAGNITUDE = r"(?:\s?(thousand|million|billion|trillion|bn|mn|[kKmMbB])\b)?"


def _many(unit: str, amount: str) -> str:
    return unit if amount == "1" else _SAME_PLURAL.get(unit, unit + "s")


def money(sign: str, amount: str, magnitude: str | None) -> str:
    """ "$", "5.99" → "five dollars and ninety-nine cents"."""
    unit, part = _CURRENCIES[sign.upper()]
    amount = amount.replace(",", "")
    if magnitude:
        words = _MAGNITUDES.get(magnitude.lower(), magnitude)
        return f"{number(amount)} {words} {_many(unit, '')}"
    whole, _, cents = amount.partition(".")
    if len(cents) != 2:
        return f"{number(amount)} {_many(unit, amount)}"
    cents = cents.lstrip("0")
    major = f"{cardinal(whole)} {_many(unit, whole)}"
    if not cents:
        return major
    minor = f"{cardinal(cents)} {_many(part, cents)}"
    return minor if whole == "0" else f"{major} and {minor}"


_UNITS = {
    "km": "kilometer",
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "μm": "micrometer",
    "nm": "nanometer",
    "kg": "kilogram",
    "g": "gram",
    "mg": "milligram",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "ft": "foot",
    "mi": "mile",
    "yd": "yard",
    "L": "liter",
    "l": "liter",
    "ml": "milliliter",
    "mL": "milliliter",
    "s": "second",
    "ms": "millisecond",
    "μs": "microsecond",
    "ns": "nanosecond",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "B": "byte",
    "kB": "kilobyte",
    "KB": "kilobyte",
    "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte",
    "KiB": "kibibyte",
    "MiB": "mebibyte",
    "GiB": "gibibyte",
    "kbps": "kilobit per second",
    "Mbps": "megabit per second",
    "Gbps": "gigabit per second",
    "W": "watt",
    "kW": "kilowatt",
    "kWh": "kilowatt hour",
    "V": "volt",
    "mA": "milliamp",
    "mAh": "milliamp hour",
    "dB": "decibel",
    "px": "pixel",
    "mph": "mile per hour",
    "km/h": "kilometer per hour",
    "kph": "kilometer per hour",
    "m/s": "meter per second",
    "MB/s": "megabyte per second",
    "GB/s": "gigabyte per second",
    "°C": "degree Celsius",
    "°F": "degree Fahrenheit",
    "°": "degree",
    "K": "thousand",
    "k": "thousand",
    "M": "million",
    "bn": "billion",
}
UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_POWERS = {"2": "square ", "3": "cubic ", " squared ": "square ", " cubed ": "cubic "}


def unit(match: Match[str]) -> str:
    """A number, a unit and perhaps a power: "5 km"."""
    amount, name, power = match[1], _UNITS[match[2]], match[3]
    head, per, tail = name.partition(" per ")
    if amount not in ("1", "-1") and head not in ("hertz", "thousand", "million", "billion"):
        head = _plural_unit(head)
    return f"{number(amount)} {_POWERS.get(power or '', '')}{head}{per}{tail} "


def _plural_unit(name: str) -> str:
    if name == "foot":
        return "feet"
    first, space, rest = name.partition(" ")
    return f"{first}s{space}{rest}" if first == "degree" else f"{name}s"
