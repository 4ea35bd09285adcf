"""What every engine that speaks segment by segment does, with a synthesis that is arithmetic."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cosyd.engines.base import Chunk, Interrupted, Request, Span
from cosyd.engines.segmented import SegmentEngine, SegmentStream
from cosyd.errors import CosydError, EmptyText, Internal
from cosyd.text.segment import Segment
from cosyd.voices.voicepack import Voicepack

VOICE = Voicepack("v", "fake", "fake-1", Path(), "", ("en",), (), 8000, "Apache-2.0")


class Fake(SegmentEngine):
    """A millisecond of sound a letter; "broken", "failing" and "hanging" are what they say."""

    sample_rate = 8000
    device = "cpu"

    def __init__(self) -> None:
        self.spoken: list[tuple[str, str]] = []
        self.running = threading.Event()

    def open(self, language: str | None = None) -> SegmentStream:
        return SegmentStream(Request(voice=VOICE, language=language), "en")

    def synthesise(
        self, stream: SegmentStream, segment: Segment, language: str
    ) -> NDArray[np.float32]:
        self.spoken.append((segment.text, language))
        letters = sum(char.isalpha() for char in segment.text)
        if "failing" in segment.text:
            raise Internal("it failed: say it again")
        if "hanging" in segment.text:
            self.hang(stream)
        level = np.nan if "broken" in segment.text else 0.5
        return np.full(8 * letters, level, np.float32)

    def hang(self, stream: SegmentStream) -> None:
        ended = threading.Event()
        stream.guard(ended.set)
        self.running.set()
        assert ended.wait(30)
        stream.guard(None)
        raise Interrupted


def outcomes(engine: Fake, stream: SegmentStream) -> list[Chunk | CosydError | None]:
    out: list[Chunk | CosydError | None] = []
    while stream.ready:
        out += engine.step([stream])
        if not isinstance(out[-1], Chunk):
            break
    return out


def chunks(engine: Fake, stream: SegmentStream) -> list[Chunk]:
    return [outcome for outcome in outcomes(engine, stream) if isinstance(outcome, Chunk)]


def test_a_sentence_at_a_time_then_the_end() -> None:
    engine = Fake()
    stream = engine.open()
    stream.write("One two. Three.", final=True)
    first, second, end = outcomes(engine, stream)
    assert isinstance(first, Chunk) and isinstance(second, Chunk) and end is None
    assert (first.text, first.sentence) == (Span(0, 8), Span(0, 8))
    assert (second.text, second.sentence) == (Span(9, 15), Span(9, 15))
    assert first.pcm.size and first.pcm[0] == 0.0  # faded


def test_only_the_first_chunk_of_a_sentence_carries_its_span() -> None:
    engine = Fake()
    stream = engine.open()
    stream.write("This is a sentence with a clause, and with another one, and so on.", final=True)
    found = chunks(engine, stream)
    assert len(found) > 1
    assert [chunk.sentence is not None for chunk in found] == [True] + [False] * (len(found) - 1)


def test_not_ready_until_a_sentence_is_whole() -> None:
    engine = Fake()
    stream = engine.open()
    stream.write("One tw", final=False)
    assert not stream.ready
    stream.write("o. Th", final=False)
    assert stream.ready and len(chunks(engine, stream)) == 1
    stream.write("ree", final=False, flush=True)
    assert stream.ready and len(chunks(engine, stream)) == 1
    assert not stream.ready
    stream.write("", final=True)
    assert stream.ready and outcomes(engine, stream) == [None]


@pytest.mark.parametrize("text", ["", "  \n", "?!", "--- *** …"])
def test_nothing_speakable_is_an_error_at_the_end(text: str) -> None:
    engine = Fake()
    stream = engine.open()
    stream.write(text, final=True)
    last = outcomes(engine, stream)[-1]
    assert isinstance(last, EmptyText) and "nothing speakable" in last.message


def test_one_silent_sentence_among_others_is_no_error() -> None:
    engine = Fake()
    stream = engine.open()
    stream.write("?! Words.", final=True)
    silent, spoken, end = outcomes(engine, stream)
    assert isinstance(silent, Chunk) and not silent.pcm.size and silent.sentence is None
    assert isinstance(spoken, Chunk) and spoken.sentence == Span(3, 9) and end is None


def test_sound_that_is_not_finite_fails_the_stream_alone() -> None:
    engine = Fake()
    broken, fine = engine.open(), engine.open()
    broken.write("broken", final=True)
    fine.write("fine", final=True)
    first, second = engine.step([broken, fine])
    assert isinstance(first, Internal) and isinstance(second, Chunk)


def test_an_error_of_the_synthesis_is_the_outcome() -> None:
    engine = Fake()
    stream = engine.open()
    stream.write("failing", final=True)
    assert isinstance(engine.step([stream])[0], Internal)


def test_interrupt_ends_a_running_step() -> None:
    engine = Fake()
    stream = engine.open()
    stream.write("hanging", final=True)

    def interrupt() -> None:
        assert engine.running.wait(30)
        stream.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted):
        engine.step([stream])
    thread.join()
    stream.close()


def test_interrupt_before_a_step_ends_it_too() -> None:
    engine = Fake()
    stream = engine.open()
    stream.write("words", final=True)
    stream.interrupt()
    with pytest.raises(Interrupted):
        engine.step([stream])
    with pytest.raises(Interrupted):
        stream.guard(lambda: None)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, ["en", "zh", "zh", "en"]), ("zh-CN", ["zh"] * 4), ("EN", ["en"] * 4)],
)
def test_the_language_asked_for_wins_else_the_sentences_else_the_last(
    asked: str | None, expected: list[str]
) -> None:
    engine = Fake()
    stream = engine.open(asked)
    stream.write("Hello. 你好。\n123\nBye.", final=True)
    outcomes(engine, stream)
    assert [language for _, language in engine.spoken] == expected


@given(st.text(max_size=300), st.lists(st.integers(1, 30), max_size=30))
def test_text_in_pieces_is_spoken_as_the_whole_text(text: str, sizes: list[int]) -> None:
    whole, pieces = Fake(), Fake()
    stream = whole.open()
    stream.write(text, final=True)
    outcomes(whole, stream)
    stream, position = pieces.open(), 0
    for size in sizes:
        stream.write(text[position : position + size], final=False)
        position += size
        outcomes(pieces, stream)
    stream.write(text[position:], final=True)
    outcomes(pieces, stream)
    assert pieces.spoken == whole.spoken
