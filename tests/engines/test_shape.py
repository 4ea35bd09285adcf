"""Trimming, fades and pauses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cosyd.engines.shape import Shape, faded, shaped, trimmed

RATE = 24_000
SHAPE = Shape()


def tone(ms: int, level: float = 0.5, hz: float = 200.0) -> NDArray[np.float32]:
    time = np.arange(RATE * ms // 1000) / RATE
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def silence(ms: int) -> NDArray[np.float32]:
    return np.zeros(RATE * ms // 1000, np.float32)


def milliseconds(pcm: NDArray[np.float32]) -> float:
    return 1000 * len(pcm) / RATE


def test_silence_at_both_ends_goes_but_for_a_little() -> None:
    out = trimmed(np.concatenate([silence(370), tone(500), silence(800)]), RATE, SHAPE)
    assert milliseconds(out) == pytest.approx(15 + 500 + 40, abs=10)


def test_a_quiet_consonant_stays() -> None:
    hiss = np.random.default_rng(0).normal(0, 0.5 * 10 ** (-45 / 20), RATE // 10)
    quiet = hiss.astype(np.float32)  # 45 dB below the vowel
    pcm = np.concatenate([silence(300), quiet, tone(300), quiet, silence(300)])
    assert milliseconds(trimmed(pcm, RATE, SHAPE)) >= 500


@pytest.mark.parametrize("pcm", [silence(0), silence(3), silence(100), tone(2)])
def test_nothing_that_stands_out_stays_as_it_is(pcm: NDArray[np.float32]) -> None:
    assert np.array_equal(trimmed(pcm, RATE, SHAPE), pcm)


def test_edges_fade_from_and_to_nothing() -> None:
    out = faded(np.ones(1000, np.float32), 120)
    assert out[0] == out[-1] == 0.0
    assert np.abs(np.diff(out)).max() < 1.1 / 120  # no step that would click
    assert (out[120:-120] == 1.0).all()


def test_a_fade_longer_than_the_sound_meets_in_the_middle() -> None:
    assert faded(np.ones(5, np.float32), 120).max() <= 1.0
    assert faded(np.zeros(0, np.float32), 120).size == 0


@pytest.mark.parametrize(
    ("clause", "paragraph", "final", "pause_ms"),
    [
        (True, False, False, 120),
        (False, False, False, 300),
        (False, True, False, 600),
        (False, False, True, 55),
        (True, False, True, 55),
    ],
)
def test_pauses(clause: bool, paragraph: bool, final: bool, pause_ms: int) -> None:
    pcm = np.concatenate([silence(200), tone(500), silence(200)])
    out = shaped(pcm, RATE, SHAPE, clause=clause, paragraph=paragraph, final=final)
    assert milliseconds(out) == pytest.approx(500 + pause_ms, abs=10)
    assert out.dtype == np.float32
