"""Signals and chunkings that the tests of streaming modules share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

CHUNKINGS: list[list[int]] = [[1], [7], [480], [1, 999, 3, 2400], [24_000], [0, 311, 0, 5]]
"""Sizes of chunks, repeated until the signal is used up."""


def sine(frequency: float, seconds: float, rate: int, level: float = 0.5) -> Samples:
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def noise(size: int, level: float = 0.1, seed: int = 0) -> Samples:
    return (np.random.default_rng(seed).standard_normal(size) * level).astype(np.float32)


def speechlike(seconds: float, rate: int, seed: int = 0) -> Samples:
    """Noise in syllables of varied level, with pauses: it moves the gates of a loudness meter."""
    size = round(seconds * rate)
    levels = np.random.default_rng(seed).choice([0.0, 0.003, 0.05, 0.1, 0.2], size=1 + size // 4000)
    return noise(size, 1.0, seed) * np.repeat(levels, 4000)[:size].astype(np.float32)


def chunks(x: Samples, sizes: Sequence[int]) -> Iterator[Samples]:
    position = 0
    while position < x.size:
        for size in sizes:
            yield x[position : position + size]
            position += size
