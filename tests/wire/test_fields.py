"""Every field of every message: wrong type, out of range, nil, left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.wire.fields import REQUIRED, Field, FieldError, check
from cosyd.wire.messages import CLIENT, SERVER, check_client, check_server, frame_samples

WRONG: dict[str, list[Any]] = {
    "int": ["1", 1.0, True, b"1", [1], {}],
    "float": ["1", True, float("nan"), float("inf"), float("-inf"), b"1", []],
    "str": [1, b"x", True, ["x"], {}],
    "bool": [0, 1, "true", 0.0, []],
    "bin": ["x", 1, [1], True],
    "map": [[], "x", 1, True],
    "list": [{}, "x", 1, True],
    "any": [],
}
RIGHT: dict[str, Any] = {
    "int": 1,
    "float": 1.5,
    "str": "x",
    "bool": True,
    "bin": b"x",
    "map": {},
    "list": [],
    "any": 1,
}
FIELDS = [
    pytest.param(side, kind, field, id=f"{side}-{kind}-{field.name}")
    for side, table in (("client", CLIENT), ("server", SERVER))
    for kind, fields in table.items()
    for field in fields
]


def _right(field: Field) -> Any:
    if field.choices:
        return field.choices[0]
    if field.kind in ("int", "float") and field.low is not None:
        return int(field.low) if field.kind == "int" else field.low
    return RIGHT[field.kind]


def _message(side: str, kind: str) -> dict[str, Any]:
    """A message with nothing but what it must have."""
    fields = (CLIENT if side == "client" else SERVER)[kind]
    needed = {field.name: _right(field) for field in fields if field.default is REQUIRED}
    return {"type": kind, **needed}


def _check(side: str, message: dict[str, Any]) -> dict[str, Any]:
    return (check_client if side == "client" else check_server)(message)


@pytest.mark.parametrize(("side", "kind", "field"), FIELDS)
def test_wrong_types_are_refused_and_named(side: str, kind: str, field: Field) -> None:
    for wrong in WRONG[field.kind]:
        with pytest.raises(FieldError, match=f"^{field.name} must be "):
            _check(side, {**_message(side, kind), field.name: wrong})


@pytest.mark.parametrize(("side", "kind", "field"), FIELDS)
def test_nil_and_nothing_give_the_default(side: str, kind: str, field: Field) -> None:
    message = _message(side, kind)
    message.pop(field.name, None)
    for empty in (message, {**message, field.name: None}):
        if field.default is REQUIRED:
            with pytest.raises(FieldError, match=f"^{field.name} is missing"):
                _check(side, empty)
        elif field.nil and field.name in empty:
            assert _check(side, empty)[field.name] is None
        else:
            assert _check(side, empty)[field.name] == field.default


@pytest.mark.parametrize(("side", "kind", "field"), FIELDS)
def test_bounds(side: str, kind: str, field: Field) -> None:
    for bound, beyond in ((field.low, -1), (field.high, 1)):
        if bound is None:
            continue
        step = 1 if field.kind != "float" else 0.001
        inside, outside = _sized(field, bound), _sized(field, bound + beyond * step)
        assert _check(side, {**_message(side, kind), field.name: inside})[field.name] == inside
        with pytest.raises(FieldError, match=f"^{field.name} must be "):
            _check(side, {**_message(side, kind), field.name: outside})


def _sized(field: Field, size: float) -> Any:
    if field.kind in ("str", "bin"):
        return ("x" if field.kind == "str" else b"x") * round(size)
    return round(size) if field.kind == "int" else size


@pytest.mark.parametrize(("side", "kind", "field"), FIELDS)
def test_choices(side: str, kind: str, field: Field) -> None:
    for choice in field.choices:
        assert _check(side, {**_message(side, kind), field.name: choice})[field.name] == choice
    if field.choices:
        other = "?" if field.kind == "str" else -1
        with pytest.raises(FieldError, match=f"^{field.name} must be one of "):
            _check(side, {**_message(side, kind), field.name: other})


@pytest.mark.parametrize("value", [-1, -1.0, 0, 0.5, 3600])
def test_keep_alive_may_be_minus_one(value: float) -> None:
    assert check_client({"type": "say", "id": 0, "text": "", "keep_alive": value})


@pytest.mark.parametrize("value", [-0.5, -2, -1.001])
def test_keep_alive_may_be_nothing_else_below_zero(value: float) -> None:
    with pytest.raises(FieldError, match="keep_alive"):
        check_client({"type": "say", "id": 0, "text": "", "keep_alive": value})


def test_only_loudness_tells_nil_from_nothing() -> None:
    nils = {field.name for fields in CLIENT.values() for field in fields if field.nil}
    assert nils == {"loudness"}


def test_unknown_keys_are_left_out() -> None:
    assert "colour" not in check_client({"type": "ping", "colour": "red"})


def test_an_integer_is_a_float_too() -> None:
    assert check_client({"type": "say", "id": 0, "text": "", "speed": 2})["speed"] == 2


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(CLIENT)), st.data())
def test_anything_is_checked_or_refused(kind: str, data: st.DataObject) -> None:
    names = [field.name for field in CLIENT[kind]]
    message = data.draw(st.dictionaries(st.sampled_from([*names, "x"]), JUNK, max_size=25))
    try:
        known = check(message, CLIENT[kind])
    except FieldError:
        return
    assert list(known) == names


@pytest.mark.parametrize(
    ("sample_rate", "frame_ms", "samples"),
    [
        (48000, 20, 960),
        (24000, 20, 480),
        (22050, 20, 441),
        (22050, 10, 220),  # 220.5: ties to even
        (22050, 30, 662),  # 661.5: to even again
        (44100, 15, 662),
        (11025, 100, 1102),
        (8000, 100, 800),
    ],
)
def test_frame_samples(sample_rate: int, frame_ms: int, samples: int) -> None:
    assert frame_samples(sample_rate, frame_ms) == samples
