"""Is a recording fit to clone a voice from? If so: trimmed, mono, as loud as all prompts are.

A program too: the file's bytes on stdin, what was found as JSON on stdout. It runs in a process
of its own, started by the daemon, which itself loads neither decoders nor numpy, and which must
not fall over a crafted file.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from cosyd.audio.loudness import integrated_loudness
from cosyd.lifeline import end_with_parent

MIN_S: Final = 1.0
MAX_S: Final = 30.0
MIN_RATE: Final = 16_000
"""Hz. Below it the sounds are missing that tell one voice from another, and s from f."""
MAX_RATE: Final = 192_000
MAX_CHANNELS: Final = 8
SILENCE_RMS: Final = 10 ** (-60 / 20)
"""-60 dBFS: quieter than any room with a voice in it."""
RAIL: Final = 0.985
"""Of full scale: what 8 bits can still tell from it, and where cut-off peaks lie."""
MAX_AT_RAIL: Final = 0.15
"""Share of the samples. Speech recorded 6 dB too loud has 2 to 5 % there and still makes a voice;
12 dB too loud (13 to 18 %) it is a rattle. A pure tone at full scale has 11 %."""
MAX_OVERSHOOT: Final = 2.0
"""What is cut off and then packed as MP3 swings over full scale; a file that goes beyond this has
another scale, and nothing of it is cut off."""
EDGE_DB: Final = -50.0
"""A beginning or end this far below the loudest is silence: the weakest consonants are at -40."""
MARGIN_S: Final = 0.2
"""What is left of such silence on both sides; the model takes a breath there."""
LOUDNESS_LUFS: Final = -23.0
"""What every prompt is brought to, so that all voices, and all prompts of one, are as loud."""
MAX_PEAK: Final = 0.97
CPU_S: Final = 20
"""More than any recording takes; a file that was made to spin a decoder ends there."""

_FRAME_S: Final = 0.02
_UNREADABLE: Final = "the recording cannot be read: give a WAV, FLAC, OGG or MP3 file"

Mono = NDArray[np.float64]


class Unfit(Exception):
    """No voice can be made of it; the text says why, and what would do."""


class Prepared(NamedTuple):
    """A recording as it is kept."""

    samples: Mono
    """[n], full scale 1.0."""
    sample_rate: int
    loudness_lufs: float | None
    """Integrated; None: not measurable."""

    @property
    def duration_s(self) -> float:
        """Its length."""
        return len(self.samples) / self.sample_rate


def fault(data: bytes) -> str | None:
    """What is wrong with the WAV, FLAC, OGG or MP3 file `data`, or None if nothing is."""
    try:
        prepare(data)
    except Unfit as unfit:
        return str(unfit)
    return None


def prepare(data: bytes) -> Prepared:
    """The recording in the WAV, FLAC, OGG or MP3 file `data`, fit to clone from.

    Its channels are averaged, silence at both ends is cut down to `MARGIN_S`, and its loudness
    is brought to `LOUDNESS_LUFS` as far as its peaks allow. Its rate stays.

    Raises:
        Unfit: it is unreadable, too short or long, silent, overdriven, or no sound at all.
    """
    samples, rate = _decoded(data)
    _check_length(len(samples) / rate)
    if rate < MIN_RATE:
        raise Unfit(f"the recording has {rate} Hz: give one with {MIN_RATE} Hz or more")
    if not np.isfinite(samples).all():
        raise Unfit("the recording is damaged (not all of it are numbers): export it again")
    if np.abs(samples).max() < MAX_OVERSHOOT and (np.abs(samples) >= RAIL).mean() > MAX_AT_RAIL:
        raise Unfit("the recording is overdriven, its peaks are cut off: record it less loud")
    mono: Mono = samples.mean(axis=1, dtype=np.float64)
    if _rms(mono) < SILENCE_RMS:
        raise Unfit("the recording is silent: give one with a voice in it")
    mono = _trimmed(mono, rate)
    _check_length(len(mono) / rate, "without the silence around it ")
    return _levelled(mono, rate)


def _decoded(data: bytes) -> tuple[NDArray[np.float32], int]:
    """float32 [n, channels] and Hz; a little more than may be, where it is too long."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels = int(file.samplerate), int(file.channels)
            _check_format(rate, channels)
            samples: NDArray[np.float32] = file.read(
                frames=int((MAX_S + 1) * rate), dtype="float32", always_2d=True
            )
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise Unfit(_UNREADABLE) from error
    return samples, rate


def _check_format(rate: int, channels: int) -> None:
    if not 1 <= rate <= MAX_RATE:
        raise Unfit(_UNREADABLE)
    if channels > MAX_CHANNELS:
        raise Unfit(f"the recording has {channels} channels: give it in mono or stereo")


def _check_length(duration_s: float, how: str = "") -> None:
    if duration_s < MIN_S:
        raise Unfit(
            f"the recording is {how}{duration_s:.1f} s long: give at least {MIN_S:g} s of speech"
        )
    if duration_s > MAX_S:
        raise Unfit(f"the recording is longer than {MAX_S:g} s: cut it")


def _rms(samples: Mono) -> float:
    return math.sqrt(float(np.mean(np.square(samples))))


def _trimmed(mono: Mono, rate: int) -> Mono:
    """Without the silence at its ends; that between words stays."""
    frame = round(_FRAME_S * rate)
    whole = mono[: len(mono) // frame * frame].reshape(-1, frame)
    power = np.mean(np.square(whole), axis=1)
    heard = np.flatnonzero(power >= power.max() * 10 ** (EDGE_DB / 10))
    margin = round(MARGIN_S * rate)
    start = max(0, int(heard[0]) * frame - margin)
    return mono[start : (int(heard[-1]) + 1) * frame + margin]


def _levelled(mono: Mono, rate: int) -> Prepared:
    measured = integrated_loudness(mono, rate)
    peak = float(np.abs(mono).max())
    room_db = 20 * math.log10(MAX_PEAK / peak)
    change_db = LOUDNESS_LUFS - measured if math.isfinite(measured) else 0.0
    change_db = min(change_db, room_db)
    reached = round(measured + change_db, 1) if math.isfinite(measured) else None
    return Prepared(mono * 10 ** (change_db / 20), rate, reached)


def write(prepared: Prepared, path: Path) -> None:
    """Write it as a mono s16 WAV that only this user can read. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        pcm = np.round(prepared.samples * 32767).astype(np.int16)
        soundfile.write(file, pcm, prepared.sample_rate, subtype="PCM_16", format="WAV")
        file.flush()
        os.fsync(file.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Examine stdin; 0, whatever was found."""
    parser = argparse.ArgumentParser(prog="cosyd.voices.recording", description=__doc__)
    parser.add_argument("--output", type=Path, help="where to write it, if it is fit")
    args = parser.parse_args(argv)
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    found = json.dumps(_examined(sys.stdin.buffer.read(), args.output))
    with suppress(BrokenPipeError):  # the daemon is gone, and nobody wants to know any more
        os.write(sys.stdout.fileno(), found.encode())
    return 0


def _examined(data: bytes, output: Path | None) -> dict[str, object]:
    try:
        prepared = prepare(data)
        if output is not None:
            write(prepared, output)
    except Unfit as unfit:
        return {"fault": str(unfit)}
    except OSError as error:
        return {"fault": None, "unwritten": error.strerror or "it cannot be written"}
    return {
        "fault": None,
        "duration_s": round(prepared.duration_s, 3),
        "loudness_lufs": prepared.loudness_lufs,
    }


if __name__ == "__main__":
    sys.exit(main())
