"""Frames come out whole, in order and the same however the bytes came in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.audio.framer import Framer


def offline(pcm: bytes, size: int) -> list[bytes]:
    return [pcm[i : i + size].ljust(size, b"\0") for i in range(0, len(pcm), size)]


@given(st.lists(st.binary(max_size=64)), st.integers(1, 40))
def test_chunked_equals_offline(chunks: list[bytes], size: int) -> None:
    framer, frames = Framer(size), []
    for chunk in chunks:
        framer.push(chunk)
        while (frame := framer.pop()) is not None:
            frames.append(frame)
        assert framer.buffered_bytes < size
    if (last := framer.flush()) is not None:
        frames.append(last)
    assert frames == offline(b"".join(chunks), size)
    assert framer.buffered_bytes == 0


@given(st.binary(max_size=200), st.integers(1, 40))
def test_flush_alone_gives_every_frame_and_then_none(pcm: bytes, size: int) -> None:
    framer = Framer(size)
    framer.push(memoryview(pcm))
    frames = []
    while (frame := framer.flush()) is not None:
        frames.append(frame)
    assert frames == offline(pcm, size)
    assert framer.pop() is None


def test_what_is_pushed_may_change_afterwards() -> None:
    source = bytearray(b"abcd")
    framer = Framer(4)
    framer.push(memoryview(source))
    source[:] = b"xxxx"
    assert framer.pop() == b"abcd"


def test_it_goes_on_after_a_flush() -> None:
    framer = Framer(4)
    framer.push(b"abcde")
    assert [framer.flush(), framer.flush(), framer.flush()] == [b"abcd", b"e\0\0\0", None]
    framer.push(b"fghi")
    assert framer.pop() == b"fghi"


def test_one_large_push() -> None:
    pcm = bytes(range(256)) * 4096
    framer = Framer(1920)
    framer.push(pcm)
    assert framer.buffered_bytes == len(pcm)
    assert b"".join(iter(framer.pop, None)) == pcm[: len(pcm) // 1920 * 1920]


@pytest.mark.parametrize("size", [0, -1])
def test_a_frame_holds_at_least_one_byte(size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Framer(size)
