"""The silence around each segment → the pause that a speaker makes there, while sound streams.

The model begins and ends with as much silence as it likes. What may be the end's is held back
until more sound follows it or the segment ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from cosyd.engines.shape import FRAME_MS, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE: Final = Shape()
_VOICE: Final = 0.1
"""RMS that a voice reaches at its loudest, at least: what counts as silence before it is heard."""
_SILENT: Final = 10 ** (SHAPE.decay_db / 20)
"""Of the loudest so far: quieter is silence."""


class Edges:
    """One segment's sound, with silence cut off its ends. All that changes is here.

    Args:
        sample_rate: Hz.
        before_ms: silence that goes before it.
    """

    def __init__(self, sample_rate: int, *, before_ms: int = 0) -> None:
        self._rate = sample_rate
        self._frame = self._samples(FRAME_MS)
        self._before_ms = before_ms
        self._held = np.zeros(0, np.float32)
        self._loudest = _VOICE
        self._begun = False

    def push(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float32 [samples]; gives what is sure to be heard, maybe nothing."""
        held = np.concatenate([self._held, pcm])
        sounding = self._sounding(held)
        if not sounding.size:
            keep = len(held) if self._begun else self._samples(SHAPE.before_ms) + self._frame
            gone = max(0, len(held) - keep) // self._frame * self._frame
            self._held = held[gone:]
            return np.zeros(0, np.float32)
        end = (int(sounding[-1]) + 1) * self._frame
        out, self._held = held[:end], held[end:]
        return out if self._begun else self._risen(out, int(sounding[0]) * self._frame)

    def finish(self, pcm: NDArray[np.float32], pause_ms: int) -> NDArray[np.float32]:
        """Take the last sound; gives all that is left, with the pause that follows, 0: none."""
        out = self.push(pcm)
        if not self._begun:
            return out
        kept = self._held[: self._samples(SHAPE.after_ms)].copy()
        fade = min(len(kept), self._samples(SHAPE.fade_ms))
        kept[len(kept) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        silence = max(0, self._samples(pause_ms - SHAPE.before_ms) - len(kept))
        return np.concatenate([out, kept, np.zeros(silence, np.float32)])

    def _risen(self, pcm: NDArray[np.float32], onset: int) -> NDArray[np.float32]:
        """The segment's beginning, from shortly before its first sound."""
        self._begun = True
        pcm = pcm[max(0, onset - self._samples(SHAPE.before_ms)) :].copy()
        fade = min(len(pcm), self._samples(SHAPE.fade_ms))
        pcm[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        return np.concatenate([np.zeros(self._samples(self._before_ms), np.float32), pcm])

    def _sounding(self, pcm: NDArray[np.float32]) -> NDArray[np.intp]:
        """Which of the whole frames of `pcm` are no silence."""
        count = len(pcm) // self._frame
        frames = pcm[: count * self._frame].reshape(count, self._frame)
        level = np.sqrt(np.square(frames, dtype=np.float32).mean(axis=1))
        loudest = np.maximum.accumulate(np.concatenate([[self._loudest], level]))
        self._loudest = float(loudest[-1])
        return np.flatnonzero(level > loudest[1:] * _SILENT)

    def _samples(self, ms: int) -> int:
        return self._rate * ms // 1000
