"""Around the vocoder: the source, speed, and the edges of what is spoken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2 import hift
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.source import Source, SourceState
from cosyd.engines.cosyvoice2.wave import Stretch, finished
from tests.engines.cosyvoice2.pieces import SCALE, far, pieces, seeded

ROUNDING = 1e-5
"""Convolutions of other lengths add in another order; what they make is within ±0.99."""
PITCH_ROUNDING = 2e-3
"""The same of the f0, 1e-4 Hz, in the phase that sums it: sin(2π · 9 · 1e-4 · seconds), at most."""
CUTS = ([120], [60, 60], [1] * 30 + [90], [7] * 17 + [1], [50, 0, 0, 70], [119, 1], [120, 0])


# source ------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 2**32))
def test_the_sources_pieces_are_its_whole(cuts: list[int], seed: int) -> None:
    maker = _source()
    f0 = torch.rand(1, sum(cuts) + 1, generator=seeded(seed)) * 400 - 20
    f0 = f0.clamp(min=0)
    whole = maker.extend(SourceState(seeded(seed)), f0, final=True)
    state, pieces, start = SourceState(seeded(seed)), [], 0
    for count in cuts:
        pieces.append(maker.extend(state, f0[:, start : start + count + 1], final=False))
        start += count
    pieces.append(maker.extend(state, f0[:, start:], final=True))
    assert far(torch.cat(pieces, 2), whole) < 1e-6


def _source() -> Source:
    sizes = HiftSizes(cond_channels=4)
    zero = torch.zeros(1)
    convs = tuple(hift.Conv(zero, zero) for _ in range(5))
    return Source(sizes, convs, (zero, zero), (torch.ones(1, 9) / 9, zero))


def test_a_steady_pitch_has_a_steady_phase() -> None:
    """Against sines in float64: 200 Hz and its harmonics for 20 s, in pieces of 0.1 s."""
    maker, state = _source(), SourceState(seeded())
    f0 = torch.full((1, 6), 200.0)
    sound = torch.cat([maker.extend(state, f0, final=False) for _ in range(200)], 2)[0, 0]
    turns = torch.arange(len(sound), dtype=torch.float64) - (SCALE / 2 - 0.5)
    turns = turns * 200 / 24_000 + 200 * SCALE / 24_000
    pure = sum(torch.sin(2 * torch.pi * turns * harmonic) for harmonic in range(1, 10))
    expected = torch.tanh(0.1 * torch.as_tensor(pure) / 9)[SCALE:]
    error = sound[SCALE:].double() - expected
    assert float(error.square().mean().sqrt()) < 1.1 * 0.003 / 3  # nothing but the noise
    late = error[-24_000:].square().mean() / error[:24_000].square().mean()
    assert 0.9 < float(late) < 1.1


# speed -------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    speed=st.floats(0.5, 2.0).filter(lambda value: value != 1),
    cuts=st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(lambda cuts: sum(cuts) > 1),
)
def test_stretched_pieces_are_the_stretched_whole(speed: float, cuts: list[int]) -> None:
    frames = torch.randn(1, 3, sum(cuts), generator=seeded())
    stretch = Stretch(speed)
    got = torch.cat([stretch.push(part, final=final) for part, final in pieces(frames, cuts)], 2)
    assert got.shape[2] == int(sum(cuts) / speed)
    if got.shape[2]:
        places = ((np.arange(got.shape[2]) + 0.5) * speed - 0.5).clip(0, sum(cuts) - 1)
        for channel, row in enumerate(frames[0].double().numpy()):
            expected = np.interp(places, np.arange(sum(cuts)), row)
            assert np.abs(got[0, channel].numpy() - expected).max() < 1e-5


def test_speed_one_leaves_the_mel_alone() -> None:
    frames = torch.randn(1, 3, 5)
    assert Stretch(1.0).push(frames, final=False) is frames


# edges -------------------------------------------------------------------------------------


def test_edges_rise_and_fall() -> None:
    sound = torch.full((1, 24_000), 0.5)
    got = finished(sound, 24_000, first=True, last=True)
    assert got[0, 0] == got[0, -1] == 0
    assert torch.equal(got[:, 120:-120], sound[:, 120:-120])
    assert float(got.diff().abs().max()) < 0.5 / 119
    assert torch.equal(finished(sound, 24_000, first=False, last=False), sound)


def test_noise_at_the_very_end_is_left_out() -> None:
    sound = 0.001 * torch.randn(1, 24_000, generator=seeded())
    sound[:, :12_000] *= 200  # speech, then silence, then a burst of 40 ms
    sound[:, -960:] *= 50
    got = finished(sound, 24_000, first=False, last=True)
    assert got.shape == sound.shape
    assert float(got[:, -960:].abs().max()) == 0
    assert torch.equal(got[:, : -960 - 120], sound[:, : -960 - 120])


def test_a_voice_that_dies_away_is_kept() -> None:
    sound = torch.sin(torch.arange(24_000) * 0.05)[None] * torch.linspace(1, 0.1, 24_000)
    got = finished(sound, 24_000, first=False, last=True)
    assert torch.equal(got[:, :-120], sound[:, :-120])


@pytest.mark.parametrize("samples", [0, 1, 3, 100, 1000])
def test_short_sounds_have_edges_too(samples: int) -> None:
    got = finished(torch.ones(1, samples), 24_000, first=True, last=True)
    assert got.shape == (1, samples)
    assert samples < 2 or got[0, 0] == got[0, -1] == 0
