"""What is wrong with a recording, and what is made of one that is fit."""

from __future__ import annotations

import io
import json
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cosyd.audio.loudness import integrated_loudness
from cosyd.voices.recording import Unfit, fault, prepare

RATE = 16_000


def written(samples: NDArray[Any], rate: int = RATE, **how: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **({"format": "WAV", "subtype": "FLOAT"} | how))
    return file.getvalue()


def speech(seconds: float = 2.0, rate: int = RATE) -> NDArray[np.float64]:
    """Noise in syllables, peaks at 0.5: as uneven as speech is."""
    count = round(seconds * rate)
    noise = np.random.default_rng(0).normal(size=count)
    sound = noise * (0.02 + np.sin(np.arange(count) * 2 * np.pi * 2 / rate) ** 2)
    return np.asarray(0.5 * sound / np.abs(sound).max())


def recording(seconds: float, level: float = 0.1, kind: str = "WAV", channels: int = 1) -> bytes:
    samples = level * np.sin(np.arange(int(seconds * 16000)) * 0.1)
    file = io.BytesIO()
    data = np.repeat(samples[:, None], channels, axis=1)
    soundfile.write(file, data, 16000, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_good(kind: str, channels: int) -> None:
    assert fault(recording(2, kind=kind, channels=channels)) is None


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (recording(0.3), "give at least 1 s"),
        (recording(300), "longer than 30 s"),
        (recording(2, level=0.0), "silent"),
        (b"", "cannot be read"),
        (b"RIFF\xff\xff\xff\x7fWAVE", "cannot be read"),
        (b"\x00" * 1000, "cannot be read"),
        ("你好".encode(), "cannot be read"),
        (written(speech(rate=8000), 8000), "8000 Hz: give one with 16000 Hz"),
        (written(np.repeat(speech()[:, None], 9, axis=1)), "9 channels"),
        (written(np.append(speech(), np.nan)), "damaged"),
        (written(np.append(speech(), -np.inf)), "damaged"),
        (written(np.clip(speech() * 50, -1, 1)), "overdriven"),
        (written(np.clip(speech() * 50, -1, 1), subtype="PCM_U8"), "overdriven"),
        (written(np.clip(speech() * 50, -1, 1), format="OGG", subtype="VORBIS"), "overdriven"),
        (written(np.append(np.zeros(RATE), speech(0.5))), "without the silence around it 0.7 s"),
        (written(np.stack([speech(), -speech()], axis=1)), "silent"),
        (recording(2)[:24] + b"\xff\xff\xff\x7f" + recording(2)[28:], "cannot be read"),
    ],
)
def test_fault(data: bytes, match: str) -> None:
    assert match in (fault(data) or "")


def test_as_a_program() -> None:
    command = [sys.executable, "-P", "-m", "cosyd.voices.recording"]
    done = subprocess.run(command, input=recording(0.5), stdout=subprocess.PIPE, check=True)
    assert "0.5 s long" in json.loads(done.stdout)["fault"]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_the_same_comes_of_every_depth(subtype: str) -> None:
    """8 bits err by 2^-8 of full scale at most, which the levelling may double."""
    whole = prepare(written(speech(), subtype="DOUBLE"))
    made = prepare(written(speech(), subtype=subtype))
    assert made.sample_rate == RATE
    assert made.samples == pytest.approx(whole.samples, abs=2 * 2**-8)


@pytest.mark.parametrize("scale", [0.02, 0.3, 1.9])
def test_all_are_as_loud(scale: float) -> None:
    made = prepare(written(speech() * scale))
    assert made.loudness_lufs == -23.0
    assert integrated_loudness(made.samples, RATE) == pytest.approx(-23.0, abs=0.05)


def test_numbers_of_another_scale_are_no_cut_off_peaks() -> None:
    assert prepare(written(speech() * 32768)).loudness_lufs == -23.0


def test_peaks_are_never_cut_off() -> None:
    clicks = speech() * 0.001
    clicks[:: RATE // 4] = 1.0
    made = prepare(written(clicks))
    assert np.abs(made.samples).max() == pytest.approx(0.97)
    assert made.loudness_lufs is not None and made.loudness_lufs < -23.0


def test_silence_at_the_ends_is_cut_down_and_that_within_stays() -> None:
    silence = np.zeros(RATE)
    within = np.concatenate([speech(1.0), silence, speech(1.0)])
    made = prepare(written(np.concatenate([silence, silence, within, silence])))
    # A frame of 20 ms more at each end may count as heard; the syllables begin and end softly.
    assert made.duration_s == pytest.approx(3.0 + 2 * 0.2, abs=0.08)


def test_channels_are_averaged() -> None:
    left = speech()
    both = prepare(written(np.stack([left, 0.5 * left], axis=1)))
    assert both.samples == pytest.approx(prepare(written(left)).samples, abs=1e-4)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 96_000, 192_000])
def test_the_rate_stays(rate: int) -> None:
    assert prepare(written(speech(1.2, rate), rate)).sample_rate == rate


def test_a_click_at_the_very_end_is_a_recording_too() -> None:
    samples = np.zeros(RATE + 100)
    samples[-1] = 1.0
    assert fault(written(samples)) is None


@given(st.binary(max_size=200), st.integers(0, 60))
def test_whatever_comes_is_judged(junk: bytes, at: int) -> None:
    """Nothing but `Unfit` comes of a file that is garbage, or becomes it at some place."""
    good = recording(1.5)
    for data in (junk, good[:at] + junk + good[at + len(junk) :]):
        try:
            made = prepare(data)
        except Unfit as unfit:
            assert "\n" not in str(unfit)
        else:
            assert np.isfinite(made.samples).all()


def run(data: bytes, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "cosyd.voices.recording", *arguments]
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_program_writes_what_it_found_fit(tmp_path: Path) -> None:
    place = tmp_path / "x.wav"
    found = run(written(speech()), "--output", str(place))
    assert found == {"fault": None, "duration_s": 2.0, "loudness_lufs": -23.0}
    samples, rate = soundfile.read(place, dtype="float64")
    info = soundfile.info(place)
    assert (rate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
    assert samples == pytest.approx(prepare(written(speech())).samples, abs=1 / 32767)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_the_program_writes_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "x.wav"
    assert "silent" in run(written(speech() * 0), "--output", str(place))["fault"]
    assert not place.exists()
    found = run(written(speech()), "--output", str(tmp_path / "nowhere" / "x.wav"))
    assert found == {"fault": None, "unwritten": "No such file or directory"}


def test_a_header_that_promises_much_costs_nothing() -> None:
    """4 GB of samples said, none there."""
    huge = bytearray(recording(0.5))
    huge[40:44] = struct.pack("<I", 0xFFFFFFF0)
    assert "0.5 s long" in (fault(bytes(huge)) or "")
