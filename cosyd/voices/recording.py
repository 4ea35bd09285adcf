"""Is a recording fit to clone a voice from? A program: the file's bytes on stdin, JSON out.

It runs in a process of its own, started by the daemon, which itself loads neither decoders nor
numpy, and which must not fall over a crafted file.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Final

import numpy as np
import soundfile

MIN_S: Final = 1.0
MAX_S: Final = 30.0
SILENCE_RMS: Final = 10 ** (-60 / 20)
"""-60 dBFS: quieter than any room with a voice in it."""


def fault(data: bytes) -> str | None:
    """What is wrong with the WAV, FLAC, OGG or MP3 file `data`, or None if nothing is."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = file.samplerate
            samples = file.read(frames=int((MAX_S + 1) * rate), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, TypeError, ValueError):
        return "the recording cannot be read: give a WAV, FLAC, OGG or MP3 file"
    duration_s = len(samples) / rate
    if duration_s < MIN_S:
        return f"the recording is {duration_s:.1f} s long: give at least {MIN_S:g} s of speech"
    if duration_s > MAX_S:
        return f"the recording is longer than {MAX_S:g} s: cut it"
    if not np.isfinite(samples).all() or np.sqrt(np.mean(np.square(samples))) < SILENCE_RMS:
        return "the recording is silent: give one with a voice in it"
    return None


if __name__ == "__main__":
    print(json.dumps({"fault": fault(sys.stdin.buffer.read())}))
