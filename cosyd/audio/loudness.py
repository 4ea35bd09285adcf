"""Loudness of mono speech after ITU-R BS.1770-4, and the gain that reaches a target."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
MAX_BOOST_DB = 30.0
"""More than this is never added: it would raise noise, not speech."""

_OFFSET_LU = -0.691  # makes a 997 Hz sine at 0 dBFS read -3.01 LUFS
_CELLS_PER_SECOND = 10  # the gating block's step is 100 ms ...
_CELLS_PER_BLOCK = 4  # ... and a block is 400 ms: an overlap of 75 %
_TAIL_S = 0.25  # the high-pass has decayed by 10^-24 after it, so a circular filter is exact

Floats = NDArray[np.float64]
Spectrum = NDArray[np.complex128]


def integrated_loudness(pcm: NDArray[Any], sample_rate: int) -> float:
    """Integrated loudness in LUFS of mono float32 or float64 [n], full scale 1.0.

    Gated as BS.1770-4 says: 400 ms blocks each 100 ms, whole blocks only, those under -70 LUFS
    and then those 10 LU under the mean of the rest left out. A signal shorter than one block is
    measured whole and ungated. -inf for silence, for nothing at all, and where no block passes.
    """
    weighted = _k_weighted(np.asarray(pcm, np.float64), sample_rate)
    blocks = _block_powers(weighted, sample_rate)
    if blocks.size == 0:
        return _lufs(_mean(np.square(weighted)))
    blocks = blocks[blocks > _power(ABSOLUTE_GATE_LUFS)]
    gate = _mean(blocks) * 10 ** (RELATIVE_GATE_LU / 10)
    return _lufs(_mean(blocks[blocks > gate]))


def gain_for(measured_lufs: float | None, target_lufs: float | None, volume: float) -> float:
    """The linear gain that brings a voice to its target, times `volume`.

    With no target, or a loudness that is unknown or that of silence, it is `volume` alone.
    The correction is at most `MAX_BOOST_DB`.
    """
    if measured_lufs is None or target_lufs is None or not math.isfinite(measured_lufs):
        return volume
    boost_db = min(target_lufs - measured_lufs, MAX_BOOST_DB)
    return float(volume * 10 ** (boost_db / 20))


def k_weighting(frequencies: Floats, sample_rate: int) -> Spectrum:
    """The K-weighting filter's response at `frequencies` [k] in Hz -> complex128 [k].

    The standard tabulates two biquads for 48 kHz only. These are the analogue filters behind
    the table (a shelf of +4 dB at 1682 Hz and a high-pass at 38 Hz, parameters as in EBU R 128
    meters), brought to any rate by the bilinear transform; at 48 kHz they give the table.
    """
    z1: Spectrum = np.exp(-2j * np.pi * frequencies / sample_rate)
    shelf, high_pass = biquads(sample_rate)
    powers = np.stack([np.ones_like(z1), z1, z1 * z1])
    response: Spectrum = np.ones_like(z1)
    for b, a in (shelf, high_pass):
        response = response * (b @ powers) / (a @ powers)
    return response


def biquads(sample_rate: int) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """(b, a) [3] each of the shelf and of the high-pass, a[0] = 1."""
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    a = np.array([a0, 2 * (k * k - 1), 1 - k / q + k * k]) / a0
    b = np.array(
        [
            high + middle * k / q + k * k,
            2 * (k * k - high),
            high - middle * k / q + k * k,
        ]
    )
    return (b / a0, a), (np.array([1.0, -2.0, 1.0]), _high_pass_poles(sample_rate))


def _high_pass_poles(sample_rate: int) -> Floats:
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    a0 = 1 + k / q + k * k
    return np.array([a0, 2 * (k * k - 1), 1 - k / q + k * k]) / a0


def _k_weighted(x: Floats, sample_rate: int) -> Floats:
    """Filter by the spectrum: numpy has no recursive filter, and a loop would be slow.

    The zeros appended outlast the response, so nothing wraps around into the signal.
    """
    if x.size == 0:
        return x
    size = 1 << (x.size + math.ceil(_TAIL_S * sample_rate) - 1).bit_length()
    frequencies = np.asarray(np.fft.rfftfreq(size, 1 / sample_rate), np.float64)
    spectrum: Spectrum = np.fft.rfft(x, size)
    spectrum *= k_weighting(frequencies, sample_rate)
    filtered: Floats = np.fft.irfft(spectrum, size)[: x.size]
    return filtered


def _block_powers(x: Floats, sample_rate: int) -> Floats:
    """Mean square of every whole gating block, [blocks]."""
    cells = x.size * _CELLS_PER_SECOND // sample_rate
    if cells < _CELLS_PER_BLOCK:
        return np.zeros(0)
    borders = np.arange(cells + 1) * sample_rate // _CELLS_PER_SECOND
    totals = np.concatenate([[0.0], np.cumsum(np.add.reduceat(np.square(x), borders[:-1]))])
    # The last cell must end at its border, not at the signal's end as reduceat has it.
    totals[-1] -= np.square(x[borders[-1] :]).sum()
    begin, end = slice(None, -_CELLS_PER_BLOCK), slice(_CELLS_PER_BLOCK, None)
    powers: Floats = (totals[end] - totals[begin]) / (borders[end] - borders[begin])
    return powers


def _mean(powers: Floats) -> float:
    return float(powers.mean()) if powers.size else 0.0


def _lufs(power: float) -> float:
    return _OFFSET_LU + 10 * math.log10(power) if power > 0 else -math.inf


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_LU) / 10))
