"""The tone engine: deterministic, sentence by sentence, and its knobs do what they say."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.base import Chunk, EngineStream, Interrupted, Request, Settings
from cosyd.engines.tone import load
from cosyd.errors import BadRequest, CosydError, EmptyText, ModelLoadFailed
from cosyd.voices.voicepack import load as load_voicepack

REQUEST = Request(load_voicepack(Path(__file__).parents[1] / "voicepacks" / "tone" / "tone"))
ENGINE = load("tone", Settings(Path()))


def outcomes(stream: EngineStream) -> list[Chunk | CosydError | None]:
    got = []
    while stream.ready:
        got.append(ENGINE.step([stream])[0])
        if not isinstance(got[-1], Chunk):
            break
    return got


def spoken(text: str, pieces: int = 1) -> list[Chunk]:
    stream = ENGINE.open(REQUEST)
    size = max(1, -(-len(text) // pieces))
    for at in range(0, len(text), size):
        stream.write(text[at : at + size], final=False)
    stream.write("", final=True)
    return [chunk for chunk in outcomes(stream) if isinstance(chunk, Chunk)]


@given(st.text("ab .!\n你。", max_size=60), st.integers(1, 20))
def test_pieces_make_no_difference(text: str, pieces: int) -> None:
    whole, split = spoken(text), spoken(text, pieces)
    assert sum(len(c.pcm) for c in whole) == sum(len(c.pcm) for c in split)
    assert [c.sentence and c.sentence.start for c in whole] == [
        c.sentence and c.sentence.start for c in split
    ]


def test_same_text_same_sound() -> None:
    first, second = spoken("Hello you."), spoken("Hello you.")
    assert np.array_equal(first[0].pcm, second[0].pcm) and first[0].pcm.dtype == np.float32


def test_nothing_to_say() -> None:
    stream = ENGINE.open(REQUEST)
    stream.write("... !", final=True)
    assert isinstance(outcomes(stream)[0], EmptyText)


def test_knobs_are_checked() -> None:
    for wrong in ("dance=1", "slow_ms=x", "slow_ms"):
        with pytest.raises(BadRequest, match="knob"):
            ENGINE.open(replace(REQUEST, instruct=wrong))


def test_broken_model() -> None:
    with pytest.raises(ModelLoadFailed, match="tensor 'pitch'"):
        load("tone-broken", Settings(Path()))


def test_slow_step_is_interrupted() -> None:
    stream = ENGINE.open(replace(REQUEST, instruct="slow_ms=600000"))
    stream.write("x", final=True)
    threading.Timer(0.05, stream.interrupt).start()
    with pytest.raises(Interrupted):
        ENGINE.step([stream])


def test_speed_shortens() -> None:
    stream = ENGINE.open(replace(REQUEST, speed=2.0))
    stream.write("one two", final=True)
    (chunk, _) = outcomes(stream)
    assert isinstance(chunk, Chunk) and len(chunk.pcm) == 2400
