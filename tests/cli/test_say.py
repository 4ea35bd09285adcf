"""`cosy say` from the outside: what arrives in files and pipes."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import subprocess
import sys
import threading
import wave
from pathlib import Path
from typing import Any

import pytest

FRAME_SAMPLES = 960
WORD_SAMPLES = 4800
"""A tone's word is 100 ms; at 48 kHz."""
LONG = "One two three four five six seven eight. " * 200
BIN_BYTES = bytes(range(256)) * 4


def read_wav(data: bytes) -> tuple[int, int, int, int]:
    """Rate, channels, bytes of a sample, samples."""
    with wave.open(io.BytesIO(data)) as file:
        return file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()


def only_line(err: bytes) -> str:
    """The one line on stderr, which has a name, no traceback and nothing after it."""
    lines = err.decode().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("cosy: ")
    return lines[0]


def test_a_file_is_a_wav_of_the_true_length(cosy: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    done = cosy("say", "One", "two", "three.", "-o", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert read_wav(out.read_bytes()) == (48000, 1, 2, 3 * WORD_SAMPLES)
    assert out.stat().st_size == 44 + 3 * WORD_SAMPLES * 2
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


def test_a_pipe_gets_a_wav_of_unknown_length(cosy: Any) -> None:
    data = cosy("say", "One two.", "-o", "-").stdout
    assert data[:4] == b"RIFF"
    assert int.from_bytes(data[4:8], "little") == 0x7FFFF024
    assert int.from_bytes(data[40:44], "little") == 0x7FFFF000
    assert len(data) == 44 + 2 * WORD_SAMPLES * 2


def test_raw_is_nothing_but_samples(cosy: Any, tmp_path: Path) -> None:
    piped = cosy("say", "One two.", "--raw", "-o", "-").stdout
    assert len(piped) == 2 * WORD_SAMPLES * 2
    cosy("say", "One two.", "--raw", "-o", str(tmp_path / "out.pcm"))
    assert (tmp_path / "out.pcm").read_bytes() == piped


def test_rate_and_sample_rate_are_obeyed(cosy: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    cosy("say", "-r", "2", "--sample-rate", "16000", "-o", str(out), "One two three four.")
    rate, _, _, samples = read_wav(out.read_bytes())
    assert rate == 16000
    assert samples == 4 * 800


def test_a_text_file_is_spoken(cosy: Any, tmp_path: Path) -> None:
    text = tmp_path / "story.txt"
    text.write_bytes(b"\xef\xbb\xbfOne two.\r\nThree.\n")
    data = cosy("say", "-f", str(text), "--raw", "-o", "-").stdout
    assert len(data) == 3 * WORD_SAMPLES * 2


@pytest.mark.parametrize("arguments", [(), ("-f", "-"), ("-",)])
def test_standard_input_is_spoken(cosy: Any, arguments: tuple[str, ...]) -> None:
    done = cosy("say", *arguments, "--raw", "-o", "-", input=b"One two.\nThree four")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) == 4 * WORD_SAMPLES * 2


def test_a_line_is_spoken_before_the_input_ends(cosy: Any) -> None:
    with cosy.start("say", "--raw", "-o", "-") as process:
        for line, words in ((b"One two\n", 2), (b"and three\n", 2)):
            process.stdin.write(line)
            process.stdin.flush()
            heard = words * WORD_SAMPLES - 2 * FRAME_SAMPLES  # two frames stay on their way
            assert len(read_exactly(process.stdout, heard * 2)) == heard * 2
        process.stdin.close()
        process.stdout.read()
        assert process.wait(30) == 0


def read_exactly(pipe: Any, count: int) -> bytes:
    data = b""
    while len(data) < count:
        assert select.select([pipe], [], [], 30)[0], "no more came"
        more = os.read(pipe.fileno(), count - len(data))
        assert more, "it ended"
        data += more
    return data


def test_what_is_not_utf8_is_replaced_and_said_once(cosy: Any) -> None:
    done = cosy("say", "--raw", "-o", "-", input=b"caf\xe9 one. caf\xe9 two.\n")
    assert done.returncode == 0
    assert "not all UTF-8" in only_line(done.stderr)
    assert len(done.stdout) == 4 * WORD_SAMPLES * 2


def test_broken_bytes_among_the_arguments_are_replaced(cosy: Any) -> None:
    done = cosy("say", "caf\udce9", "--raw", "-o", "-")
    assert done.returncode == 0
    assert "not all UTF-8" in only_line(done.stderr)


@pytest.mark.parametrize("how", ["file", "input"])
def test_binary_is_refused_in_one_line(cosy: Any, tmp_path: Path, how: str) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG" + BIN_BYTES)
    if how == "file":
        done = cosy("say", "-f", str(tmp_path / "x.png"), "-o", "-")
    else:
        done = cosy("say", "-o", "-", input=b"\x89PNG" + BIN_BYTES)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "is not text" in only_line(done.stderr)


@pytest.mark.parametrize("path", ["/nonexistent", "/"])
def test_a_file_that_cannot_be_read_is_a_line(cosy: Any, path: str) -> None:
    done = cosy("say", "-f", path, "-o", "-")
    assert (done.returncode, done.stdout) == (1, b"")
    assert path in only_line(done.stderr)


def test_a_megabyte_is_begun_and_stopped(cosy: Any) -> None:
    text = b"One two three four five six seven eight nine ten eleven twelve.\n" * 16_000
    with cosy.start("say", "-o", "-") as process:
        threading.Thread(target=feed, args=(process.stdin, text), daemon=True).start()
        assert len(read_exactly(process.stdout, 400_000)) == 400_000
        process.stdout.close()
        assert process.wait(30) == 0
    assert cosy.active() == 0


def feed(pipe: Any, text: bytes) -> None:
    """Write until nobody reads any more."""
    with contextlib.suppress(BrokenPipeError):
        pipe.write(text)
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to say"),
        ([" "], "nothing to say"),
        (["a", "-f", "x"], "--file"),
        (["a", "-r", "3"], "--rate must be at most 2"),
        (["a", "--sample-rate", "1"], "--sample-rate must be one of 8000"),
        (["a", "-r", "fast"], "--rate must be a number"),
        (["a", "--raw"], "--raw needs -o"),
        (["a", "-o", "x.mp3"], "not mp3"),
        (["a", "-o", "x", "-a", "y"], "exclude"),
        (["--nope"], "type `cosy say --help`"),
        (["a", "-v"], "type `cosy say --help`"),
    ],
)
def test_wrong_usage_is_exit_2_and_a_line(cosy: Any, arguments: list[str], words: str) -> None:
    done = cosy("say", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in only_line(done.stderr)


def test_nothing_to_say_in_a_terminal_gets_a_hint(cosy: Any) -> None:
    ours, theirs = pty.openpty()
    with cosy.start("say", stdin=theirs) as process:
        _, err = process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 2
    assert 'cosy say "Hello"' in only_line(err)


def test_nothing_speakable_is_a_failure(cosy: Any) -> None:
    done = cosy("say", "...", "-o", "-")
    assert (done.returncode, done.stdout) == (1, b"")
    only_line(done.stderr)


def test_an_unknown_voice_names_near_ones(cosy: Any, tmp_path: Path) -> None:
    done = cosy("say", "-v", "tome", "hi", "-o", str(tmp_path / "x.wav"))
    assert done.returncode == 1
    assert "tone" in only_line(done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_voice_that_fails_leaves_the_old_file(cosy: Any, tmp_path: Path) -> None:
    out = tmp_path / "x.wav"
    out.write_bytes(b"old")
    done = cosy("say", "--instruct", "fail_after=1", "One. Two.", "-o", str(out))
    assert done.returncode == 1
    only_line(done.stderr)
    assert out.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


@pytest.mark.parametrize("path", ["/nonexistent/x.wav", "/dev/null/x.wav", "/", "/dev/full"])
def test_what_cannot_be_written_is_a_line_and_stops(cosy: Any, path: str) -> None:
    done = cosy("say", LONG, "-o", path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert f"cannot write {path}" in only_line(done.stderr)
    assert cosy.active() == 0


def test_a_full_disk_behind_stdout_is_a_line(cosy: Any) -> None:
    with Path("/dev/full").open("wb") as full:
        done = cosy("say", LONG, "-o", "-", stdout=full)
    assert done.returncode == 1
    assert "disk is full" in only_line(done.stderr)


def test_a_reader_that_has_enough_ends_it_quietly(cosy: Any) -> None:
    with cosy.start("say", LONG, "-o", "-") as process:
        assert read_exactly(process.stdout, 5000)[:4] == b"RIFF"
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""
    assert cosy.active() == 0


def test_without_sound_it_says_what_to_do(cosy: Any) -> None:
    done = cosy("say", "Hello", env={"PATH": "/nonexistent"})
    assert (done.returncode, done.stdout) == (1, b"")
    line = only_line(done.stderr)
    assert "apt install" in line or "brew install" in line or "pip install" in line
    assert "-o" in line
    assert cosy.active() == 0


@pytest.mark.parametrize("player", ["none", "broken"])
def test_or_output_writes_a_file_where_nothing_plays(
    cosy: Any, tmp_path: Path, player: str
) -> None:
    out, programs = tmp_path / "out.wav", tmp_path / "bin"
    programs.mkdir()
    if player == "broken":
        (programs / "aplay").write_text("#!/bin/sh\nexit 1\n")
        (programs / "aplay").chmod(0o755)
    done = cosy("say", "One two.", "--or-output", str(out), env={"PATH": str(programs)})
    assert done.returncode == 0
    assert done.stdout.decode() == f"{out}\n"
    only_line(done.stderr)
    assert read_wav(out.read_bytes()) == (48000, 1, 2, 2 * WORD_SAMPLES)


def test_a_player_program_gets_the_sound(cosy: Any, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    (tmp_path / "aplay").write_text(f"#!/bin/sh\nexec /bin/cat > {heard}\n")
    (tmp_path / "aplay").chmod(0o755)
    done = cosy("say", "One two.", env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, b"")
    samples = heard.read_bytes()
    assert any(samples)
    assert len(samples) >= 2 * WORD_SAMPLES * 2


@pytest.mark.parametrize(("closed", "code"), [("<&-", 0), ("2>&-", 0), (">&-", 2)])
def test_closed_standard_files_are_survived(
    cosy: Any, tmp_path: Path, closed: str, code: int
) -> None:
    out = tmp_path / "out"
    redirected = f"{sys.executable} -m cosyd.cli say One. --raw -o - >{out} {closed}"
    done = subprocess.run(["/bin/sh", "-c", redirected], env=cosy.env, capture_output=True)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert out.stat().st_size == (0 if code else 2 * WORD_SAMPLES)


def test_question_marks_list_voices_and_devices(cosy: Any) -> None:
    voices = cosy("say", "-v", "?")
    assert voices.returncode == 0
    assert "tone " in voices.stdout.decode()
    assert voices.stdout == cosy("voices").stdout
    devices = cosy("say", "-a", "?")
    assert devices.returncode == 0 or "cannot list devices" in only_line(devices.stderr)
