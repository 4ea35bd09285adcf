"""Framing: 4 bytes big-endian length, then one msgpack map with string keys and a `type`.

The decoder measures a message before it builds any object from it, so that 16 MiB of nested
nothing costs neither a gigabyte of objects nor the event loop's time.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from cosyd.errors import Protocol

HEADER_BYTES: Final = 4
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 10_000
"""Values (keys and nested ones included) in one message."""

_FIXED, _SIZED, _ARRAY, _MAP = range(4)


def _layout() -> list[tuple[int, int, int]]:
    """First byte → (what, bytes of length field, bytes that follow it), from the msgpack spec."""
    table = [(_FIXED, 0, 0)] * 256  # fixint, nil, booleans
    for low in range(16):
        table[0x80 + low] = (_MAP, 0, low)
        table[0x90 + low] = (_ARRAY, 0, low)
    for size in range(32):
        table[0xA0 + size] = (_FIXED, 0, size)  # fixstr
    for power in range(3):
        length = 1 << power
        table[0xC4 + power] = (_SIZED, length, 0)  # bin
        table[0xC7 + power] = (_SIZED, length, 1)  # ext: a type byte too
        table[0xD9 + power] = (_SIZED, length, 0)  # str
    for index, size in enumerate((4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17), start=0xCA):
        table[index] = (_FIXED, 0, size)  # float, uint, int, fixext
    table[0xDC], table[0xDD] = (_ARRAY, 2, 0), (_ARRAY, 4, 0)
    table[0xDE], table[0xDF] = (_MAP, 2, 0), (_MAP, 4, 0)
    return table


_LAYOUT: Final = _layout()


def measure(data: bytes) -> None:
    """Walk the headers of `data` without building anything.

    Raises:
        Protocol: it nests deeper than `MAX_DEPTH` or holds more than `MAX_VALUES` values.
    """
    at, values, end = 0, 0, len(data)
    open_counts = [1]  # values still to come, per open container
    while open_counts and at < end:
        open_counts[-1] -= 1
        what, length_bytes, size = _LAYOUT[data[at]]
        at += 1
        if length_bytes:
            size += int.from_bytes(data[at : at + length_bytes], "big")
            at += length_bytes
        if what >= _ARRAY:
            open_counts.append(size * 2 if what == _MAP else size)
        else:
            at += size
        if len(open_counts) > MAX_DEPTH + 1:
            raise Protocol(f"the message nests deeper than {MAX_DEPTH} levels")
        values += 1
        if values > MAX_VALUES:
            raise Protocol(f"the message holds more than {MAX_VALUES} values")
        while open_counts and not open_counts[-1]:
            open_counts.pop()


def _string_keys(entries: dict[Any, Any]) -> dict[Any, Any]:
    """`strict_map_key` lets binary keys pass, at any depth; we do not."""
    if not all(isinstance(key, str) for key in entries):
        raise TypeError("a key is no string")
    return entries


def _unpack(body: bytes) -> dict[str, Any]:
    measure(body)
    try:
        message = msgpack.unpackb(body, strict_map_key=True, object_hook=_string_keys)
    except (ValueError, TypeError) as error:  # malformed, trailing bytes, bad UTF-8, odd keys
        raise Protocol("the message is not one msgpack map with string keys") from error
    if not isinstance(message, dict):
        raise Protocol("the message is not one msgpack map with string keys")
    if not isinstance(message.get("type"), str):
        raise Protocol("the message has no string 'type'")
    return message


class Decoder:
    """Bytes in, messages out; holds at most one unfinished message of `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    @property
    def pending_bytes(self) -> int:
        """Bytes fed that have not come out as a message yet."""
        return len(self._buffer) - self._at

    def next_message(self) -> dict[str, Any] | None:
        """The next whole message, or None until more is fed.

        Raises:
            Protocol: the stream is broken; nothing more can be read from it.
        """
        if self.pending_bytes < HEADER_BYTES:
            return None
        start = self._at + HEADER_BYTES
        length = int.from_bytes(self._buffer[self._at : start], "big")
        if not 0 < length <= self._max_bytes:
            raise Protocol(f"a message of {length} bytes; allowed are 1 to {self._max_bytes}")
        if len(self._buffer) - start < length:
            return None
        self._at = start + length
        return _unpack(bytes(self._buffer[start : self._at]))


def encode(message: dict[str, Any], max_bytes: int) -> bytes:
    """One message as it goes over the wire.

    Raises:
        Protocol: it is longer than `max_bytes`.
    """
    body = msgpack.packb(message)
    if len(body) > max_bytes:
        raise Protocol(f"a message of {len(body)} bytes; allowed are 1 to {max_bytes}")
    packed: bytes = len(body).to_bytes(HEADER_BYTES, "big") + body
    return packed
