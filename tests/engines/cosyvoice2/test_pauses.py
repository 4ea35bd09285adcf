"""Silence at a segment's edges, in any pieces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cosyd.engines.cosyvoice2.pauses import SHAPE, Edges

RATE = 24_000


def _ms(milliseconds: int) -> int:
    return RATE * milliseconds // 1000


def _sound(milliseconds: int) -> NDArray[np.float32]:
    return np.sin(np.arange(_ms(milliseconds)) / 5).astype(np.float32) * np.float32(0.3)


def _silence(milliseconds: int) -> NDArray[np.float32]:
    return np.zeros(_ms(milliseconds), np.float32)


SPOKEN = np.concatenate([_silence(200), _sound(300), _silence(150), _sound(200), _silence(400)])


def _shaped(pieces: list[NDArray[np.float32]], pause_ms: int = 300) -> NDArray[np.float32]:
    edges = Edges(RATE)
    made = [edges.push(piece) for piece in pieces[:-1]]
    return np.concatenate([*made, edges.finish(pieces[-1], pause_ms)])


def test_edges_become_the_pause_and_the_inside_stays() -> None:
    out = _shaped([SPOKEN])
    inside = _ms(300 + 150 + 200)
    assert len(out) == _ms(SHAPE.before_ms) + inside + _ms(300 - SHAPE.before_ms)
    kept = SPOKEN[_ms(200) : _ms(200) + inside]
    assert np.array_equal(out[_ms(SHAPE.before_ms) : _ms(SHAPE.before_ms) + inside], kept)
    assert len(_shaped([SPOKEN], pause_ms=0)) == _ms(SHAPE.before_ms + SHAPE.after_ms) + inside


@given(st.lists(st.integers(0, len(SPOKEN)), max_size=8))
@settings(max_examples=40)
def test_pieces_give_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(SPOKEN)]
    pieces = [SPOKEN[a:b] for a, b in pairwise(places)]
    same = np.array_equal(_shaped(pieces), _shaped([SPOKEN]))
    assert same


def test_a_sound_without_silence_begins_and_ends_as_it_is() -> None:
    sound = _sound(400)
    out = _shaped([sound], pause_ms=0)
    assert len(out) == len(sound) and out[0] == 0
    assert np.array_equal(out[_ms(5) :], sound[_ms(5) :])


def test_silence_alone_is_nothing() -> None:
    assert not _shaped([_silence(500)]).size
    edges = Edges(RATE)
    assert not edges.push(_silence(3000)).size and len(edges._held) <= _ms(20)


def test_a_paragraph_begins_with_a_pause() -> None:
    edges = Edges(RATE, before_ms=300)
    assert not edges.push(_silence(100)).size
    out = edges.finish(_sound(100), 0)
    assert not out[: _ms(300)].any() and len(out) == _ms(300 + SHAPE.before_ms + 100)
