"""Fields of messages as data, and the one function that checks a message against them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, NamedTuple

REQUIRED: Final = object()
"""Default of a field that has none: the message must carry it."""

ID_MAX: Final = 2**31 - 1


class Field(NamedTuple):
    """One field of a message: its type, its default and the values it may have."""

    name: str
    kind: str
    """A key of `KINDS`."""
    default: Any = None
    low: float | None = None
    high: float | None = None
    """Largest number; for a string or bytes the greatest length."""
    choices: tuple[Any, ...] = ()
    """If given: the only values allowed."""
    also: tuple[Any, ...] = ()
    """Values allowed outside low…high."""
    nil: bool = False
    """Whether nil is a value of its own here; elsewhere nil counts as absent."""


class FieldError(ValueError):
    """A field of a message is missing, of the wrong type or out of range; says which."""


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_float(value: object) -> bool:
    return _is_int(value) or (isinstance(value, float) and isfinite(value))


KINDS: Final[dict[str, tuple[Any, str]]] = {
    "int": (_is_int, "an integer"),
    "float": (_is_float, "a finite number"),
    "str": (lambda value: isinstance(value, str), "a string"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "bin": (lambda value: isinstance(value, bytes), "binary"),
    "map": (lambda value: isinstance(value, dict), "a map"),
    "list": (lambda value: isinstance(value, list), "a list"),
    "any": (lambda _value: True, "anything"),
}
"""Kind → (test, words for the error)."""


def _range_error(field: Field, value: Any) -> str | None:
    if value in field.also:
        return None
    if field.choices:
        if value in field.choices:
            return None
        return "must be one of " + ", ".join(str(choice) for choice in field.choices)
    size, what = value, ""
    if isinstance(value, str | bytes):
        size, what = len(value), " long at most"
    if field.high is not None and size > field.high:
        return f"must be {field.high:g}{what}" if what else f"must be at most {field.high:g}"
    if field.low is not None and size < field.low:
        return f"must be at least {field.low:g}"
    return None


def _check_value(field: Field, value: Any) -> None:
    test, words = KINDS[field.kind]
    if not test(value):
        raise FieldError(f"{field.name} must be {words}")
    if why := _range_error(field, value):
        raise FieldError(f"{field.name} {why}")


def check(message: Mapping[str, Any], fields: tuple[Field, ...]) -> dict[str, Any]:
    """The message's known fields with defaults filled in; unknown keys are left out.

    Raises:
        FieldError: naming the first field that is missing, mistyped or out of range.
    """
    known = {}
    for field in fields:
        value = message.get(field.name, field.default)
        if value is None and not (field.nil and field.name in message):
            value = field.default
        if value is REQUIRED:
            raise FieldError(f"{field.name} is missing")
        if value is not None:
            _check_value(field, value)
        known[field.name] = value
    return known
