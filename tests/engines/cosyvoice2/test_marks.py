"""Where a segment's sound is in its text."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.base import Chunk, Span
from cosyd.engines.cosyvoice2.front import Unit
from cosyd.engines.cosyvoice2.marks import PACE, Place

UNITS = [
    Unit((1, 2, 3, 4), Span(0, 12), Span(0, 12)),
    Unit((5, 6), Span(13, 20), Span(13, 30)),
    Unit((7, 8), Span(20, 30)),
]


def _sound(samples: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.ones(samples, np.float32)


def test_in_one_piece_every_sentence_begins_a_chunk() -> None:
    place = Place()
    first, second = place.cut(_sound(800), UNITS, None)
    assert (first.text, first.sentence, len(first.pcm)) == ((0, 12), (0, 12), 400)
    assert (second.text, second.sentence, len(second.pcm)) == ((12, 30), (13, 30), 400)


@given(st.lists(st.floats(0, 8), max_size=6))
def test_in_any_pieces_positions_grow_and_nothing_is_lost(places: list[float]) -> None:
    place, chunks = Place(), list[Chunk]()
    for to in [*sorted(places), None]:
        chunks += place.cut(_sound(100), UNITS, to)
    assert sum(len(chunk.pcm) for chunk in chunks) == 100 * (len(places) + 1)
    assert all(a.text.end == b.text.start for a, b in pairwise(chunks))
    assert chunks[-1].text.end == 30
    sentences = [chunk.sentence for chunk in chunks if chunk.sentence is not None]
    if 8.0 not in places:  # then nothing is left for the last piece
        assert sentences == [(0, 12), (13, 30)]


def test_an_estimate_never_says_that_all_is_spoken() -> None:
    place = Place()
    assert place.share(PACE * 2, UNITS, total=None) == 2
    assert place.share(1e6, UNITS, total=None) < 8
    assert place.share(20, UNITS, total=40) == 4
    place.learn(80, 8)
    assert place.share(20, UNITS, total=None) == 2
