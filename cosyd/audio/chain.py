"""From an engine's float32 chunks to the PCM bytes a client asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyd.audio.limiter import Limiter
from cosyd.audio.resample import Resampler

Samples = NDArray[np.float32]


class NotFinite(ValueError):
    """The engine made NaN or infinite samples."""


def to_s16le(x: Samples) -> bytes:
    """float32 [n] -> 2n bytes: 1.0 is 32768, rounded to the nearest, clipped."""
    scaled: Samples = np.rint(x * np.float32(32768))
    return scaled.clip(-32768, 32767).astype("<i2").tobytes()


def to_f32le(x: Samples) -> bytes:
    """float32 [n] -> 4n bytes."""
    return x.astype("<f4").tobytes()


ENCODERS: Mapping[str, Callable[[Samples], bytes]] = {"s16le": to_s16le, "f32le": to_f32le}


class Chain:
    """Finite? -> resample -> gain -> limit -> encode; one per utterance.

    Chunked equals offline. The whole is n * out_rate / in_rate samples long, +-1. It holds back
    15 ms (resampler 10, limiter 5) until `flush`.
    """

    def __init__(self, in_rate: int, out_rate: int, gain: float, encoding: str) -> None:
        """Rates in Hz; `gain` linear; `encoding` "s16le" or "f32le" (else ValueError)."""
        if encoding not in ENCODERS:
            raise ValueError(f"encoding must be one of {', '.join(ENCODERS)}, not {encoding!r}")
        self._gain = np.float32(gain)
        self._resampler = Resampler(in_rate, out_rate)
        self._limiter = Limiter(out_rate)
        self._encode = ENCODERS[encoding]

    def process(self, pcm: NDArray[Any]) -> bytes:
        """float32 [n] at in_rate -> mono PCM bytes at out_rate, whole samples, maybe none.

        Raises:
            NotFinite: a sample is NaN or infinite. The chain must not be used any further.
        """
        x = np.asarray(pcm, np.float32)
        if not np.isfinite(x).all():
            raise NotFinite("the engine made samples that are not numbers")
        return self._encode(self._limiter.process(self._resampler.process(x) * self._gain))

    def flush(self) -> bytes:
        """The rest of the sound. Call it once, at the end."""
        rest = self._limiter.process(self._resampler.flush() * self._gain)
        return self._encode(np.concatenate([rest, self._limiter.flush()]))
