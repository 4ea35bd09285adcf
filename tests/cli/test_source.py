"""Text as it arrives: whole, in bits, and when nothing comes for a while."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.cli.failure import Failure
from cosyd.cli.feeder import Feeder
from cosyd.cli.source import Piece, Stream, TextDecoder, pieces


@given(st.text(), st.lists(st.integers(1, 5), min_size=1))
def test_cut_anywhere_the_text_is_the_same(text: str, sizes: list[int]) -> None:
    text = text.replace("\0", "").removeprefix("\ufeff")
    data, decoder, read = text.encode("utf-8", "replace"), TextDecoder("x"), ""
    at = step = 0
    while at < len(data):
        size = sizes[step % len(sizes)]
        read += decoder.decode(data[at : at + size])
        at, step = at + size, step + 1
    assert read + decoder.decode(b"", final=True) == data.decode()


def test_a_nul_is_no_text() -> None:
    with pytest.raises(Failure, match="picture is not text"):
        TextDecoder("picture").decode(b"GIF\0")


def test_a_line_after_which_nothing_comes_is_flushed() -> None:
    reading, writing = os.pipe()
    arriving = pieces(Stream(reading, "a pipe"))
    os.write(writing, b"no full stop\n")
    assert next(arriving) == Piece("no full stop\n", flush=False)
    assert next(arriving) == Piece("", flush=True)
    os.write(writing, b"half a li")
    assert next(arriving) == Piece("half a li", flush=False)
    os.write(writing, b"ne\n")
    os.close(writing)
    assert list(arriving) == [Piece("ne\n", flush=False)]
    os.close(reading)


class Listener:
    """An utterance whose voice stands where the test says."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.marks: list[Any] = []
        self.ended = self.stopped = False
        self.news = threading.Condition()

    def write(self, text: str, flush: bool = False) -> None:
        del flush
        with self.news:
            self.written.append(text)
            self.news.notify_all()

    def end(self) -> None:
        self.ended = True

    def stop(self) -> None:
        self.stopped = True


def filled_pipe(data: bytes) -> int:
    """The reading end of a pipe that holds `data` and then ends."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


def test_no_more_than_so_much_is_sent_ahead_of_the_voice() -> None:
    listener: Any = Listener()
    stream = Stream(filled_pipe(b"x" * 60_000), "a pipe")
    feeder = Feeder(listener, stream, ahead=20_000, patience_s=60)
    feeder.start()
    with listener.news:
        assert listener.news.wait_for(lambda: len(listener.written) == 2, 10)
    feeder.make_room()  # the voice has not moved
    feeder.join(0.05)
    assert feeder.is_alive()
    assert len("".join(listener.written)) == 2 * 16_384
    listener.marks.append(type("Mark", (), {"end": 60_000}))
    while feeder.is_alive():
        feeder.make_room()  # as after each frame
        feeder.join(0.01)
    assert "".join(listener.written) == "x" * 60_000
    assert listener.ended


def test_a_voice_that_does_not_move_gets_more_all_the_same() -> None:
    listener: Any = Listener()
    stream = Stream(filled_pipe(b"-" * 60_000), "a pipe")
    Feeder(listener, stream, ahead=20_000, patience_s=0.01).run()
    assert "".join(listener.written) == "-" * 60_000
    assert listener.ended


def test_an_empty_stream_stops_the_utterance_and_says_why() -> None:
    listener: Any = Listener()
    feeder = Feeder(listener, Stream(filled_pipe(b" \n"), "a pipe"))
    feeder.run()
    assert listener.stopped
    assert not listener.ended
    assert "a pipe is empty" in str(feeder.error)
