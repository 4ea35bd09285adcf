"""A look-ahead peak limiter for a stream of chunks.

The gain a sample needs to stay under the ceiling is held for the look-ahead window (a sliding
minimum) and then averaged over one (a FIR), so that it glides down before a peak and up after
it, and at the peak is never above what the peak needs. It works on the *reduction*, 1 - gain, in
whole numbers of 2^-30: sums of whole numbers are exact, hence chunked equals offline to the bit,
and a stream that never reaches the ceiling comes out as it went in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

CEILING_DBFS = -1.0
LOOK_AHEAD_S = 0.005

_ONE = 1 << 30  # a reduction of 1.0


class Limiter:
    """Keeps mono float32 under a ceiling; output is aligned with input, held back by 5 ms."""

    def __init__(
        self,
        sample_rate: int,
        ceiling_dbfs: float = CEILING_DBFS,
        look_ahead_s: float = LOOK_AHEAD_S,
    ) -> None:
        self.ceiling = np.float32(10 ** (ceiling_dbfs / 20))
        """The largest magnitude that comes out, linear."""
        self._window = max(1, round(look_ahead_s * sample_rate))
        past = self._window - 1
        self._reductions = np.zeros(past, np.int64)  # of the last samples seen
        self._held = np.zeros(past, np.int64)  # the last of their sliding maxima
        self._delayed = np.zeros(past, np.float32)  # samples seen, not yet given out
        self._skip = past  # what is given out first are the zeros above

    def process(self, x: Samples) -> Samples:
        """float32 [n] -> float32 [m], limited: what was held back, then x but its last 5 ms.

        x must be finite.
        """
        if x.size == 0:
            return x
        y = self._limit(x)
        skipped = min(self._skip, y.size)
        self._skip -= skipped
        return y[skipped:]

    def flush(self) -> Samples:
        """What is held back, float32 [m]. Call it once, at the end."""
        return self.process(np.zeros(self._window - 1, np.float32))

    def _limit(self, x: Samples) -> Samples:
        """float32 [n] -> float32 [n], delayed by one sample less than the window."""
        reductions = np.concatenate([self._reductions, self._needed(x)])
        held = np.concatenate([self._held, _sliding_max(reductions, self._window)])
        delayed = np.concatenate([self._delayed, x])
        n = x.size
        self._reductions, self._held, self._delayed = reductions[n:], held[n:], delayed[n:]
        if not held.any():
            return delayed[:n]
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(held)])
        reduction = (sums[self._window :] - sums[: -self._window]) / (self._window * _ONE)
        y: Samples = (delayed[:n] * (1.0 - reduction)).astype(np.float32)
        np.clip(y, -self.ceiling, self.ceiling, out=y)  # the last bit of float32's rounding
        return y

    def _needed(self, x: Samples) -> NDArray[np.int64]:
        """The reduction each sample needs, [n], rounded up."""
        magnitude = np.maximum(np.abs(x.astype(np.float64)), float(self.ceiling))
        return np.ceil((1.0 - float(self.ceiling) / magnitude) * _ONE).astype(np.int64)


def _sliding_max(x: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """The maximum of every `window` neighbours: [n] -> [n - window + 1], in linear time.

    Any window lies across one border of blocks of its own size: its maximum is that of the
    running maximum towards the border and of the one from it on (van Herk, Gil and Werman).
    """
    count = x.size - window + 1
    blocks = np.pad(x, (0, -x.size % window)).reshape(-1, window)
    after = np.maximum.accumulate(blocks, axis=1).ravel()
    before = np.maximum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.maximum(before[:count], after[window - 1 : window - 1 + count])
