"""`cosy voices`: add and remove."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile


@pytest.fixture
def recording(tmp_path: Path) -> str:
    """The path of a WAV file with 1.5 s of a sine."""
    path = tmp_path / "anna's voice.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(24_000) * 0.1), 16_000)
    return str(path)


def test_a_voice_from_beginning_to_end(cosy: Any, recording: str) -> None:
    done = cosy("voices", "add", "anna", recording, "--text", "Hello there.")
    assert (done.returncode, done.stderr) == (0, b"")
    first, *steps = done.stdout.decode().splitlines()
    assert first == "Added anna."
    assert "next: cosy pull cosyvoice2  (3.1 GB)" in steps
    assert steps[-1] == 'next: cosy say -v anna "Hello."'
    assert cosy("voices", "add", "anna/happy", recording, "--text", "Ha.").returncode == 0
    (row,) = (r for r in cosy("voices").stdout.decode().splitlines() if r.startswith("anna "))
    assert "cloned from a recording (also anna/happy)" in row
    again = cosy("voices", "add", "anna", recording, "--text", "Hello.")
    assert (again.returncode, again.stdout) == (1, b"")
    assert again.stderr.startswith(b"cosy: a voice is called 'anna' already")
    replaced = cosy("voices", "add", "anna", recording, "--replace", "-l", "fr", "--json")
    assert replaced.stderr == b""
    assert json.loads(replaced.stdout)["voice"]["languages"][0] == "fr"
    removed = cosy("voices", "remove", "anna", "nobody")
    assert (removed.returncode, removed.stdout) == (1, b"Removed anna.\n")
    assert removed.stderr.count(b"\n") == 1


def test_without_text_that_is_told(cosy: Any, recording: str) -> None:
    done = cosy("voices", "add", "bert", recording)
    assert done.returncode == 0
    assert b"add --text" in done.stderr
    assert cosy("voices", "remove", "bert").stdout == b"Removed bert.\n"


def test_a_recording_through_a_pipe(cosy: Any, recording: str) -> None:
    data = Path(recording).read_bytes()
    assert cosy("voices", "add", "cleo", "-", "--text", "Hi.", input=data).returncode == 0
    assert cosy("voices", "remove", "cleo").returncode == 0


@pytest.mark.skipif(
    not os.path.exists("/dev/zero"),  # noqa: PTH110 - evaluated before anything else is
    reason="an endless file of the system's",
)
def test_what_is_too_large_is_not_even_sent(cosy: Any) -> None:
    done = cosy("voices", "add", "big", "/dev/zero")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"over 16 MB" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["add"], 2, "missing argument 'NAME': type `cosy voices add --help`"),
        (["add", "x"], 2, "missing argument 'RECORDING'"),
        (["add", "x", "/nowhere.wav"], 1, "/nowhere.wav: No such file"),
        (["add", "x", "/"], 1, "/: Is a directory"),
        (["add", "x", sys.executable], 1, ""),
        (["add", "../x", __file__], 1, "name must be"),
        (["add", "tone", __file__], 1, "cannot be read"),
        (["remove"], 2, "missing argument 'NAME"),
        (["remove", "tone"], 1, "came with the installation"),
        (["sing"], 2, "no such command 'sing'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    cosy: Any, arguments: list[str], code: int, told: str
) -> None:
    done = cosy("voices", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"cosy: ") and done.stderr.count(b"\n") == 1
    assert told in done.stderr.decode()
