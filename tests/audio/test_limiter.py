"""The limiter against a plain loop over its definition, and chunked against offline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyd.audio.limiter import Limiter
from tests.audio.signals import CHUNKINGS, Samples, chunks, noise, sine

RATE = 24_000
CEILING = np.float32(10 ** (-1 / 20))


def limit(x: Samples, sizes: Sequence[int], rate: int = RATE) -> Samples:
    limiter = Limiter(rate)
    parts = [limiter.process(chunk) for chunk in chunks(x, sizes)]
    return np.concatenate([*parts, limiter.flush()])


def reference(x: Samples, rate: int = RATE) -> Samples:
    """Sliding minimum of the needed gain, then its mean, written out sample by sample."""
    window = round(0.005 * rate)
    needed = np.minimum(1.0, CEILING / np.maximum(np.abs(x.astype(np.float64)), 1e-9))
    padded = np.concatenate([np.ones(2 * window - 2), needed, np.ones(window - 1)])
    held = np.array([padded[i : i + window].min() for i in range(padded.size - window + 1)])
    gain = np.array([held[i : i + window].mean() for i in range(held.size - window + 1)])
    y: Samples = (x * gain[window - 1 :]).astype(np.float32)
    return y


@pytest.mark.parametrize("sizes", CHUNKINGS, ids=str)
@pytest.mark.parametrize("level", [0.1, 0.5, 3.0])
def test_chunked_equals_offline(sizes: list[int], level: float) -> None:
    x = noise(5_003, level)
    assert np.array_equal(limit(x, sizes), limit(x, [x.size]))


@pytest.mark.parametrize("level", [0.3, 1.0, 10.0])
def test_it_is_its_definition(level: float) -> None:
    x = noise(3_000, level)
    # The reduction's steps of 2^-30, times the level, and float32's rounding of the product.
    np.testing.assert_allclose(limit(x, [480]), reference(x), rtol=2e-7, atol=1e-7)


@settings(max_examples=60)
@given(
    st.lists(st.floats(-40, 40, width=32), max_size=600),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_nothing_is_over_the_ceiling(values: list[float], sizes: list[int]) -> None:
    x = np.array(values, np.float32)
    y = limit(x, sizes)
    assert y.size == x.size
    assert np.abs(y).max(initial=0) <= CEILING


def test_what_is_under_the_ceiling_comes_out_identical() -> None:
    x = np.clip(noise(20_000, 0.4), -CEILING, CEILING)
    assert np.array_equal(limit(x, [333]), x)


def test_it_is_identical_again_after_a_peak() -> None:
    x = noise(20_000, 0.1)
    x[5_000] = 4.0
    y = limit(x, [480])
    around = slice(5_000 - 120, 5_000 + 120)
    assert np.array_equal(np.delete(y, around), np.delete(x, around))
    assert y[5_000] == pytest.approx(CEILING, abs=1e-6)


def test_the_gain_glides() -> None:
    """No step in the gain is larger than a window's share of the whole reduction."""
    x = np.ones(4_000, np.float32) * np.float32(0.5)
    x[2_000] = 5.0
    gain = limit(x, [480]) / x
    assert np.abs(np.diff(gain)).max() <= (1 - CEILING / 5) / 120 + 1e-6


def test_a_loud_tone_keeps_its_shape() -> None:
    """Steadily too loud, it is turned down, not clipped: harmonics stay under -50 dB."""
    y = limit(sine(1_000, 1, RATE, 2.0), [480])[2_400:21_600]
    spectrum = np.abs(np.fft.rfft(y * np.hanning(y.size)))
    tone = 1_000 * y.size // RATE
    harmonics = max(spectrum[tone * k - 3 : tone * k + 4].max() for k in (2, 3, 5, 7))
    assert 20 * np.log10(harmonics / spectrum[tone]) < -50


@pytest.mark.parametrize("size", [0, 1, 50, 119, 120, 121])
def test_short_streams_keep_their_length(size: int) -> None:
    x = noise(size, 2.0)
    assert limit(x, [17]).size == size


def test_it_holds_back_its_look_ahead_only() -> None:
    assert Limiter(RATE).process(noise(480)).size == 480 - 119


@pytest.mark.parametrize("rate", [100, 8_000, 48_000])
def test_other_rates(rate: int) -> None:
    x = noise(2_000, 1.0)
    y = limit(x, [100], rate)
    assert y.size == x.size
    assert np.abs(y).max() <= CEILING
