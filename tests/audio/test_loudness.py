"""The meter against pyloudnorm, the standard's table and tones of known loudness."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest

from cosyd.audio.loudness import MAX_BOOST_DB, biquads, gain_for, integrated_loudness
from tests.audio.signals import noise, sine, speechlike

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]


def test_the_filters_at_48_khz_are_the_standards_table() -> None:
    """ITU-R BS.1770-4, tables 1 and 2, given to 14 decimals."""
    (shelf_b, shelf_a), (high_b, high_a) = biquads(48_000)
    table_b = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    np.testing.assert_allclose(shelf_b, table_b, atol=1e-12)
    np.testing.assert_allclose(shelf_a, [1, -1.69065929318241, 0.73248077421585], atol=1e-12)
    np.testing.assert_allclose(high_b, [1, -2, 1])
    np.testing.assert_allclose(high_a, [1, -1.99004745483398, 0.99007225036621], atol=1e-12)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seed", [0, 1])
def test_it_agrees_with_pyloudnorm(rate: int, seed: int) -> None:
    """Its "DeMan" filters are the same ones: what is left is rounding."""
    x = speechlike(6.0, rate, seed)
    meter = pyloudnorm.Meter(rate, filter_class="DeMan")
    assert integrated_loudness(x, rate) == pytest.approx(meter.integrated_loudness(x), abs=1e-3)


@pytest.mark.parametrize("rate", RATES)
def test_it_is_near_pyloudnorms_own_filters(rate: int) -> None:
    """Its default filters differ from the standard's, the more the lower the rate."""
    x = speechlike(6.0, rate)
    measured = pyloudnorm.Meter(rate).integrated_loudness(x)
    assert integrated_loudness(x, rate) == pytest.approx(measured, abs=0.3)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level_db", [0.0, -23.0, -60.0])
def test_a_997_hz_tone_reads_3_db_under_its_level(rate: int, level_db: float) -> None:
    """The standard's own calibration; the bilinear transform bends the shelf at low rates."""
    x = sine(997, 20, rate, 10 ** (level_db / 20))
    assert integrated_loudness(x, rate) == pytest.approx(level_db - 3.01, abs=0.05)


def test_silence_around_speech_is_gated_out() -> None:
    speech, silence = sine(997, 4, 24_000, 0.1), np.zeros(240_000, np.float32)
    alone = integrated_loudness(speech, 24_000)
    among = integrated_loudness(np.concatenate([silence, speech, silence]), 24_000)
    assert among == pytest.approx(alone, abs=0.4)  # ungated: 7.8 LU less


def test_what_is_10_lu_under_is_gated_out_but_9_is_not() -> None:
    loud = sine(997, 5, 24_000, 0.5)
    far = np.concatenate([loud, loud * np.float32(10 ** (-14 / 20))])
    near = np.concatenate([loud, loud * np.float32(10 ** (-6 / 20))])
    assert integrated_loudness(far, 24_000) == pytest.approx(-9.03, abs=0.15)
    mean = 10 * math.log10((1 + 10**-0.6) / 2)
    assert integrated_loudness(near, 24_000) == pytest.approx(-9.03 + mean, abs=0.1)


def test_a_cut_off_last_block_is_left_out() -> None:
    x = speechlike(2.0, 24_000)
    rest = noise(2_399, 1.0)
    whole = integrated_loudness(x, 24_000)
    assert integrated_loudness(np.concatenate([x, rest]), 24_000) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.399])
def test_less_than_a_block_is_measured_ungated(seconds: float) -> None:
    x = sine(997, seconds, 48_000)
    assert integrated_loudness(x, 48_000) == pytest.approx(-9.03, abs=0.5)
    assert integrated_loudness(x * np.float32(1e-4), 48_000) == pytest.approx(-89.03, abs=0.5)


@pytest.mark.parametrize("size", [0, 1, 9_599, 9_600, 48_000])
def test_silence_is_minus_infinity(size: int) -> None:
    assert integrated_loudness(np.zeros(size, np.float32), 24_000) == -math.inf


def test_below_the_absolute_gate_is_minus_infinity() -> None:
    assert integrated_loudness(sine(997, 2, 24_000, 1e-4), 24_000) == -math.inf


def test_float64_and_float32_agree() -> None:
    x = speechlike(2.0, 24_000)
    wide = integrated_loudness(x.astype(np.float64), 24_000)
    assert integrated_loudness(x, 24_000) == pytest.approx(wide, abs=1e-12)


def test_the_gain_reaches_the_target() -> None:
    x = speechlike(3.0, 24_000)
    gain = gain_for(integrated_loudness(x, 24_000), -23.0, 1.0)
    assert integrated_loudness(x * np.float32(gain), 24_000) == pytest.approx(-23.0, abs=1e-4)


@pytest.mark.parametrize(
    ("measured", "target", "volume", "gain"),
    [
        (-26.0, -16.0, 1.0, 10**0.5),
        (-16.0, -26.0, 2.0, 2 * 10**-0.5),
        (-16.0, -16.0, 0.0, 0.0),
        (None, -16.0, 0.5, 0.5),
        (-20.0, None, 1.5, 1.5),
        (-math.inf, -16.0, 1.0, 1.0),
        (-90.0, -16.0, 1.0, 10 ** (MAX_BOOST_DB / 20)),
    ],
)
def test_gain_for(measured: float | None, target: float | None, volume: float, gain: float) -> None:
    assert gain_for(measured, target, volume) == pytest.approx(gain)
