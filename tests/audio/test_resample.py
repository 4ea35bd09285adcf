"""The resampler against sines computed at the target rate, and chunked against offline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cosyd.audio.resample import Resampler
from tests.audio.signals import CHUNKINGS, Samples, chunks, noise, sine

RATES = [
    (24_000, 48_000),
    (24_000, 44_100),
    (24_000, 22_050),
    (24_000, 16_000),
    (24_000, 8_000),
    (22_050, 48_000),
    (44_100, 48_000),
    (16_000, 48_000),
]


def resample(x: Samples, in_rate: int, out_rate: int, sizes: Sequence[int]) -> Samples:
    resampler = Resampler(in_rate, out_rate)
    parts = [resampler.process(chunk) for chunk in chunks(x, sizes)]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize("sizes", CHUNKINGS, ids=str)
@pytest.mark.parametrize(("in_rate", "out_rate"), [(24_000, 48_000), (24_000, 44_100)])
def test_chunked_equals_offline(in_rate: int, out_rate: int, sizes: list[int]) -> None:
    x = noise(9_001)
    offline = resample(x, in_rate, out_rate, [x.size])
    assert np.array_equal(resample(x, in_rate, out_rate, sizes), offline)


@pytest.mark.parametrize("size", [0, 1, 2, 100, 4_801, 24_000])
@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_length_is_within_one_sample(in_rate: int, out_rate: int, size: int) -> None:
    y = resample(noise(size), in_rate, out_rate, [480])
    assert abs(y.size - size * out_rate / in_rate) <= 1
    assert y.dtype == np.float32


def fit(y: Samples, frequency: float, rate: int, start: int) -> tuple[float, float, float]:
    """Level, delay in samples and signal to noise ratio in dB of a sine that begins at 0."""
    t = (np.arange(y.size) + start) / rate
    waves = np.stack([np.sin(2 * np.pi * frequency * t), np.cos(2 * np.pi * frequency * t)], 1)
    (a, b), *_ = np.linalg.lstsq(waves, y.astype(np.float64), rcond=None)
    noise_power = np.square(y - waves @ np.array([a, b])).mean()
    delay = -np.arctan2(b, a) / (2 * np.pi * frequency) * rate
    level = float(np.hypot(a, b))
    return level, float(delay), float(10 * np.log10(level**2 / 2 / noise_power))


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_a_sine_stays_that_sine(in_rate: int, out_rate: int) -> None:
    y = resample(sine(997, 1, in_rate), in_rate, out_rate, [480])
    edge = out_rate // 10
    level, delay, snr_db = fit(y[edge:-edge], 997, out_rate, edge)
    assert snr_db > 110  # 16 bits hold 98 dB
    assert abs(20 * np.log10(level / 0.5)) < 0.002
    assert abs(delay) < 2


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_time_does_not_drift(in_rate: int, out_rate: int) -> None:
    y = resample(sine(997, 60, in_rate), in_rate, out_rate, [24_000])
    _, early, _ = fit(y[out_rate : 2 * out_rate], 997, out_rate, out_rate)
    _, late, _ = fit(y[58 * out_rate : 59 * out_rate], 997, out_rate, 58 * out_rate)
    assert abs(late - early) < 0.01  # samples


@pytest.mark.parametrize("frequency", [8_600, 9_500, 11_900])
def test_what_the_target_rate_cannot_hold_is_removed(frequency: int) -> None:
    y = resample(sine(frequency, 1, 24_000), 24_000, 16_000, [480])[1_600:-1_600]
    assert 20 * np.log10(np.abs(y).max() / 0.5) < -95  # 16 bits hold 98 dB


def test_images_are_removed() -> None:
    """Doubling the rate of a tone leaves nothing but that tone."""
    y = resample(sine(10_000, 1, 24_000), 24_000, 48_000, [480])[4_800:43_200]
    spectrum = np.abs(np.fft.rfft(y * np.hanning(y.size)))
    peak = 10_000 * y.size // 48_000
    others = np.concatenate([spectrum[: peak - 4], spectrum[peak + 5 :]])
    assert 20 * np.log10(others.max() / spectrum[peak]) < -100


@pytest.mark.parametrize(
    ("in_rate", "out_rate", "most_ms"),
    [(24_000, 48_000, 10.1), (24_000, 16_000, 10.1), (24_000, 44_100, 10.1), (24_000, 8_000, 25.1)],
)
def test_little_is_held_back(in_rate: int, out_rate: int, most_ms: float) -> None:
    resampler, fed_s, got_s = Resampler(in_rate, out_rate), 0.0, 0.0
    for chunk in chunks(noise(in_rate), [480]):
        fed_s += chunk.size / in_rate
        got_s += resampler.process(chunk).size / out_rate
        assert (fed_s - got_s) * 1000 <= most_ms


def test_equal_rates_pass_through_untouched() -> None:
    x = noise(1_000)
    resampler = Resampler(24_000, 24_000)
    assert np.array_equal(resampler.process(x), x)
    assert resampler.flush().size == 0


def test_a_slice_with_a_stride_is_taken() -> None:
    x = noise(2_000)
    offline = resample(np.ascontiguousarray(x[::2]), 24_000, 48_000, [1_000])
    assert np.array_equal(resample(x[::2], 24_000, 48_000, [333]), offline)


@pytest.mark.parametrize("rates", [(0, 48_000), (24_000, 0), (-1, 1)])
def test_bad_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot resample"):
        Resampler(*rates)
