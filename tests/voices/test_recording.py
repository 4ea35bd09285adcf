"""What is wrong with a recording: formats, length, silence, garbage."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from cosyd.voices.recording import fault


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
    ],
)
def test_fault(data: bytes, match: str) -> None:
    assert match in (fault(data) or "")


def test_as_a_program() -> None:
    command = [sys.executable, "-P", "-m", "cosyd.voices.recording"]
    done = subprocess.run(command, input=recording(0.5), capture_output=True, check=True)
    assert "0.5 s long" in json.loads(done.stdout)["fault"]
