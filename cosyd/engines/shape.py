"""One segment's raw sound → trimmed, faded at both ends, with the pause that follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_MS = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """What is sound, and how long pauses are."""

    onset_db: float = -58.0
    """Below the loudest frame: quieter frames at the beginning are silence. A quiet "f" or "h" is
    some 40 dB below, what Kokoro breathes before it 60 to 75."""
    decay_db: float = -52.0
    """The same for the end, where breath dies away for a tenth of a second more."""
    before_ms: int = 15
    """Kept before the first sound."""
    after_ms: int = 40
    """Kept after the last sound."""
    fade_ms: int = 5
    clause_ms: int = 120
    """From the end of a piece of a sentence to the next piece, the kept silence included."""
    sentence_ms: int = 300
    paragraph_ms: int = 600


def shaped(
    pcm: NDArray[np.float32],
    sample_rate: int,
    shape: Shape,
    *,
    clause: bool,
    paragraph: bool,
    final: bool,
) -> NDArray[np.float32]:
    """`pcm` float32 [samples] → float32 [samples].

    Args:
        clause: the sentence goes on after it.
        paragraph: it begins a paragraph and is not the first: the rest of the longer pause comes
            first, because a paragraph's end is known only when the next begins.
        final: nothing follows, so no pause.
    """
    speech = faded(trimmed(pcm, sample_rate, shape), sample_rate * shape.fade_ms // 1000)
    pause = shape.clause_ms if clause else shape.sentence_ms
    after = 0 if final else max(0, pause - shape.after_ms - shape.before_ms)
    before = shape.paragraph_ms - shape.sentence_ms if paragraph else 0
    silence = [np.zeros(sample_rate * ms // 1000, np.float32) for ms in (before, after)]
    return np.concatenate([silence[0], speech, silence[1]])


def trimmed(pcm: NDArray[np.float32], sample_rate: int, shape: Shape) -> NDArray[np.float32]:
    """`pcm` without the silence at its ends; all of it where nothing stands out."""
    frame = sample_rate * FRAME_MS // 1000
    count = len(pcm) // frame
    if not count:
        return pcm
    energy = np.square(pcm[: count * frame].reshape(count, frame), dtype=np.float32).mean(axis=1)
    level = energy / max(float(energy.max()), 1e-20)
    risen = np.flatnonzero(level > 10 ** (shape.onset_db / 10))
    fallen = np.flatnonzero(level > 10 ** (shape.decay_db / 10))
    if not fallen.size:
        return pcm
    start = max(0, int(risen[0]) * frame - sample_rate * shape.before_ms // 1000)
    end = (int(fallen[-1]) + 1) * frame + sample_rate * shape.after_ms // 1000
    return pcm[start:end]


def faded(pcm: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """A copy of `pcm` whose first and last `samples` rise from and fall to nothing."""
    out = pcm.copy()
    samples = min(samples, len(out) // 2)
    if samples:
        ramp = np.linspace(0.0, 1.0, samples, endpoint=False, dtype=np.float32)
        out[:samples] *= ramp
        out[-samples:] *= ramp[::-1]
    return out
