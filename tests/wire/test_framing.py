"""The decoder: any bytes give messages or `Protocol`, and nothing else; all limits hold."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.errors import Protocol
from cosyd.wire.framing import MAX_DEPTH, MAX_VALUES, Decoder, encode, measure

LIMIT = 1 << 20


def _frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def _decode(data: bytes, limit: int = LIMIT) -> dict[str, Any] | None:
    decoder = Decoder(limit)
    decoder.feed(data)
    return decoder.next_message()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20)
    ),
    max_leaves=60,
)
MESSAGES = st.dictionaries(st.text(max_size=40), VALUES, max_size=20).map(
    lambda fields: {**fields, "type": "say"}
)


@given(st.lists(MESSAGES, max_size=4), st.integers(1, 200))
def test_round_trip_for_any_chunking(messages: list[dict[str, Any]], size: int) -> None:
    stream = b"".join(encode(message, LIMIT) for message in messages)
    decoder, got = Decoder(LIMIT), []
    for at in range(0, len(stream), size):
        decoder.feed(stream[at : at + size])
        while (message := decoder.next_message()) is not None:
            got.append(message)
    assert got == messages
    assert decoder.pending_bytes == 0


def _drain(decoder: Decoder) -> None:
    try:
        while (message := decoder.next_message()) is not None:
            assert isinstance(message["type"], str)
    except Protocol:
        pass


@given(st.binary(max_size=400))
def test_garbage_gives_a_message_or_a_protocol_error(data: bytes) -> None:
    decoder = Decoder(LIMIT)
    decoder.feed(data)
    _drain(decoder)


@given(st.binary(max_size=400))
def test_a_garbage_body_gives_a_message_or_a_protocol_error(body: bytes) -> None:
    decoder = Decoder(LIMIT)
    decoder.feed(_frame(body))
    _drain(decoder)


@given(MESSAGES, st.data())
def test_a_damaged_message_gives_a_message_or_a_protocol_error(
    message: dict[str, Any], data: st.DataObject
) -> None:
    damaged = bytearray(encode(message, LIMIT))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    decoder = Decoder(LIMIT)
    decoder.feed(bytes(damaged))
    _drain(decoder)


BROKEN = {
    "zero length": b"\0\0\0\0",
    "not a map": _frame(msgpack.packb(["type", "say"])),
    "nothing but a number": _frame(b"\x01"),
    "the reserved byte": _frame(b"\xc1"),
    "a map without type": _frame(msgpack.packb({"id": 1})),
    "type is a number": _frame(msgpack.packb({"type": 1})),
    "type is binary": _frame(msgpack.packb({"type": b"say"})),
    "an integer key": _frame(msgpack.packb({"type": "say", 1: 2})),
    "an integer key below": _frame(msgpack.packb({"type": "say", "ref": {1: 2}})),
    "a nil key": _frame(msgpack.packb({"type": "say", None: 2})),
    "a list for a key": _frame(b"\x82\xa4type\xa3say\x91\x01\x02"),
    "invalid UTF-8": _frame(b"\x82\xa4type\xa3say\xa4text\xa1\xff"),
    "the reserved byte inside": _frame(b"\x82\xa4type\xa3say\xa1x\xc1"),
    "two values": _frame(msgpack.packb({"type": "say"}) + b"\x01"),
    "cut short": _frame(msgpack.packb({"type": "say"})[:-1]),
    "a string longer than the message": _frame(b"\x82\xa4type\xa3say\xa1x\xdb\xff\xff\xff\xff"),
    "a list longer than the message": _frame(b"\x82\xa4type\xa3say\xa1x\xdd\xff\xff\xff\xff"),
    "a map longer than the message": _frame(b"\x82\xa4type\xa3say\xa1x\xdf\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=list(BROKEN))
def test_broken(data: bytes) -> None:
    with pytest.raises(Protocol):
        _decode(data)


def test_a_binary_key_is_refused_at_every_depth() -> None:
    with pytest.raises(Protocol):
        _decode(_frame(msgpack.packb({"type": "say", b"x": 1})))
    with pytest.raises(Protocol):
        _decode(_frame(msgpack.packb({"type": "ping", "nonce": [{b"x": 1}]})))


def test_a_message_of_the_greatest_length_is_taken_and_a_longer_one_is_not() -> None:
    message = {"type": "say", "text": "x" * 1000}
    packed = encode(message, LIMIT)
    assert _decode(packed, len(packed) - 4) == message
    with pytest.raises(Protocol, match="bytes"):
        _decode(packed, len(packed) - 5)
    with pytest.raises(Protocol, match="bytes"):
        encode(message, len(packed) - 5)


def test_a_too_long_message_is_refused_by_its_header_alone() -> None:
    with pytest.raises(Protocol):
        _decode(struct.pack(">I", LIMIT + 1))


def _nested(depth: int, leaf: Any = 1) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def test_nesting() -> None:
    deepest = {"type": "ping", "nonce": _nested(MAX_DEPTH - 1)}  # the message is a level itself
    assert _decode(encode(deepest, LIMIT)) == deepest
    with pytest.raises(Protocol, match="deeper"):
        _decode(encode({"type": "ping", "nonce": _nested(MAX_DEPTH)}, LIMIT))


def test_nesting_of_empty_containers_counts_too() -> None:
    deepest = {"type": "ping", "nonce": _nested(MAX_DEPTH - 2, [])}
    assert _decode(encode(deepest, LIMIT)) == deepest
    with pytest.raises(Protocol, match="deeper"):
        _decode(encode({"type": "ping", "nonce": _nested(MAX_DEPTH - 1, [])}, LIMIT))


@pytest.mark.parametrize("opener", [b"\x91", b"\x81\xa1k", b"\xdd\0\0\0\1", b"\xdf\0\0\0\1\xa1k"])
def test_a_megabyte_of_nesting_costs_nothing(opener: bytes) -> None:
    with pytest.raises(Protocol, match="deeper"):
        measure(opener * (LIMIT // len(opener)))


def test_the_greatest_number_of_values() -> None:
    fixed = 5  # the message, its two keys, the type, the list
    fits = {"type": "ping", "nonce": [None] * (MAX_VALUES - fixed)}
    assert _decode(encode(fits, LIMIT)) == fits
    with pytest.raises(Protocol, match="values"):
        _decode(encode({"type": "ping", "nonce": [None] * (MAX_VALUES - fixed + 1)}, LIMIT))


@given(VALUES)
def test_measuring_walks_exactly_the_value(value: Any) -> None:
    """What `measure` counts is what is there: one value less and it would complain."""
    count = _count(value)
    packed = msgpack.packb(value)
    room = MAX_VALUES - count - 1  # the list around them
    measure(msgpack.packb([0] * room + [None])[:-1] + packed)
    with pytest.raises(Protocol):
        measure(msgpack.packb([0] * (room + 1) + [None])[:-1] + packed)


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + len(value) + sum(_count(entry) for entry in value.values())
    return 1 + sum(_count(entry) for entry in value) if isinstance(value, list) else 1


@pytest.mark.parametrize("size", [*range(18), 255, 256, 65536])
def test_every_size_class_of_extensions_is_measured_and_refused(size: int) -> None:
    packed = msgpack.packb({"type": "ping", "nonce": msgpack.ExtType(5, b"x" * size), "last": 1})
    measure(packed)
    with pytest.raises(Protocol):
        measure(packed[:-1] + b"\x91" * (MAX_DEPTH + 1))


def test_an_extension_type_is_left_to_the_check_of_fields() -> None:
    message = _decode(encode({"type": "ping", "x": msgpack.ExtType(5, b"abc")}, LIMIT))
    assert message == {"type": "ping", "x": msgpack.ExtType(5, b"abc")}
