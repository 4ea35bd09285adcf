"""The pipe player with real child processes that stand in for the player programs."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from cosyd.audio import wav
from cosyd.audio.device import PlayerFailed
from cosyd.audio.pipeplayer import PROGRAMS, Format, PipePlayer, Process, Program, spawn

FORM = Format(48_000, "s16le", 1, 0.03, None)
COPY = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, open({path!r}, 'ab'))"
NEVER_READS = "import time; time.sleep(60)"


def program(code: str, *, reads_wav: bool = False, tail_s: float = 0.0) -> Program:
    return Program("stand-in", lambda _: ["-c", code], reads_wav, tail_s)


def player(code: str, **options: object) -> PipePlayer:
    return PipePlayer(program(code), sys.executable, FORM, **options)  # type: ignore[arg-type]  # few


@pytest.mark.parametrize("sizes", [[2], [1920] * 30, [100_000], [0, 5_000, 0, 3]])
def test_all_of_it_arrives(tmp_path: Path, sizes: list[int]) -> None:
    playing = player(COPY.format(path=str(tmp_path / "out")))
    pcm = bytes(range(256)) * 500
    position = 0
    for size in sizes:
        playing.write(pcm[position : position + size])
        position += size
    playing.drain()
    assert (tmp_path / "out").read_bytes() == pcm[:position]
    assert playing.played_samples == position // 2
    playing.close()


def test_a_wav_header_and_silence_go_before_and_silence_after(tmp_path: Path) -> None:
    copy = program(COPY.format(path=str(tmp_path / "out")), reads_wav=True, tail_s=0.002)
    playing = PipePlayer(copy, sys.executable, FORM, lead_in_s=0.001)
    playing.write(b"\1\2" * 10)
    playing.drain()
    wanted = wav.header(48_000, "s16le") + bytes(96) + b"\1\2" * 10 + bytes(192)
    assert (tmp_path / "out").read_bytes() == wanted
    assert playing.played_samples == 10


def test_it_plays_again_after_a_drain(tmp_path: Path) -> None:
    playing = player(COPY.format(path=str(tmp_path / "out")))
    for pcm in (b"ab", b"cd"):
        playing.write(pcm)
        playing.drain()
    assert (tmp_path / "out").read_bytes() == b"abcd"
    assert playing.played_samples == 2


def test_drain_waits_for_the_program() -> None:
    """It has played everything only when it ends."""
    code = "import sys, time; sys.stdin.buffer.read(); time.sleep(0.2); sys.exit(3)"
    playing = player(code)
    playing.write(b"ab")
    with pytest.raises(PlayerFailed, match="stand-in failed: it ended with status 3"):
        playing.drain()


def test_nothing_written_is_nothing_to_drain() -> None:
    playing = PipePlayer(program(NEVER_READS), sys.executable, FORM, lead_in_s=0.02)
    playing.drain()
    playing.close()
    playing.close()


def test_a_program_that_dies_says_why() -> None:
    playing = player("import sys; print('first\\nno such server', file=sys.stderr); sys.exit(1)")
    with pytest.raises(PlayerFailed, match=r"^stand-in failed: no such server$"):
        playing.write(bytes(100_000))
    playing.close()


def test_a_program_that_chatters_is_listened_to(tmp_path: Path) -> None:
    """A full stderr must not stop it."""
    chatter = "import sys; sys.stderr.write('x' * 300_000); " + COPY.format(
        path=str(tmp_path / "o")
    )
    playing = player(chatter)
    playing.write(bytes(50_000))
    playing.drain()
    assert (tmp_path / "o").stat().st_size == 50_000


def test_a_program_that_is_killed() -> None:
    playing = player("import os, sys; sys.stdin.buffer.read(5000); os.kill(os.getpid(), 9)")
    with pytest.raises(PlayerFailed, match="status -9"):
        playing.write(bytes(100_000))


def test_a_program_that_closes_the_pipe() -> None:
    playing = player("import os; os.close(0)")
    with pytest.raises(PlayerFailed, match="stand-in failed"):
        playing.write(bytes(100_000))


def test_a_program_that_reads_nothing_is_given_up() -> None:
    playing = player(NEVER_READS, stall_s=0.1)
    with pytest.raises(PlayerFailed, match="stand-in stopped taking sound"):
        playing.write(bytes(100_000))
    playing.close()


def test_a_program_that_does_not_end_is_given_up() -> None:
    playing = player("import sys, time; sys.stdin.buffer.read(); time.sleep(60)", stall_s=0.1)
    playing.write(bytes(10))
    with pytest.raises(PlayerFailed, match="stopped taking sound"):
        playing.drain()


def test_a_program_that_cannot_be_started() -> None:
    with pytest.raises(PlayerFailed, match="cannot start /nowhere/paplay: No such file"):
        PipePlayer(program(""), "/nowhere/paplay", FORM)


@pytest.mark.parametrize("paused", [False, True])
def test_abort_ends_a_blocked_write(paused: bool) -> None:
    playing = player(NEVER_READS)
    thread = threading.Thread(target=playing.write, args=[bytes(100_000)])
    thread.start()
    if paused:
        playing.pause()
    playing.abort()
    thread.join(30)
    assert not thread.is_alive()
    playing.write(b"ab")
    playing.drain()
    playing.close()


def test_abort_ends_a_blocked_drain() -> None:
    playing = player("import sys, time; sys.stdin.buffer.read(); time.sleep(60)")
    playing.write(b"ab")
    thread = threading.Thread(target=playing.drain)
    thread.start()
    playing.abort()
    thread.join(30)
    assert not thread.is_alive()
    playing.close()


def test_a_pause_holds_everything_and_resume_goes_on(tmp_path: Path) -> None:
    """Even one longer than the time after which a program counts as stuck."""
    playing = player(COPY.format(path=str(tmp_path / "out")), stall_s=0.1)
    playing.write(bytes(100))
    playing.pause()
    playing.pause()

    def play() -> None:
        playing.write(bytes(100_000))
        playing.drain()

    thread = threading.Thread(target=play)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    playing.resume()
    playing.resume()
    thread.join(30)
    assert (tmp_path / "out").stat().st_size == 100_100


def test_signals_are_sent_once_and_to_a_new_program_too() -> None:
    sent: list[tuple[int, int]] = []
    started: list[Process] = []

    def watched(argv: Sequence[str]) -> Process:
        process, number = spawn(argv), len(started)
        real = process.send_signal

        def note(sig: int) -> None:
            sent.append((number, sig))
            real(sig)

        process.send_signal = note  # type: ignore[method-assign]  # to watch it
        started.append(process)
        return process

    playing = player("import sys; sys.stdin.buffer.read()", spawn=watched)
    playing.write(b"ab")
    playing.drain()
    playing.pause()
    assert sent == []
    playing.write(b"ab")
    playing.resume()
    playing.drain()
    assert sent == [(1, signal.SIGSTOP), (1, signal.SIGCONT)]


def test_sound_on_its_way_is_not_heard_yet() -> None:
    playing = player(NEVER_READS)
    playing.write(bytes(4_000))
    assert playing.played_samples == 0
    playing.close()


# What the programs are told.


def arguments(name: str, form: Format) -> str:
    (found,) = [program for program in PROGRAMS if program.name == name]
    return " ".join(found.arguments(form))


def test_the_order_of_preference() -> None:
    assert [program.name for program in PROGRAMS] == ["paplay", "pw-cat", "aplay", "ffplay"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "paplay",
            "--raw --format=s16le --rate=48000 --channels=1 --latency-msec=30 "
            "--client-name=cosyd --stream-name=speech",
        ),
        ("pw-cat", "--playback --latency=30ms /dev/stdin"),
        ("aplay", "-q -t raw -f S16_LE -r 48000 -c 1 --buffer-time=30000"),
        ("ffplay", "-nodisp -autoexit -loglevel error -probesize 32 -analyzeduration 0 -i -"),
    ],
)
def test_arguments(name: str, words: str) -> None:
    assert arguments(name, FORM) == words


def test_float_and_a_device() -> None:
    form = Format(24_000, "f32le", 2, 0.1, "hw:1")
    assert "--format=float32le --rate=24000 --channels=2" in arguments("paplay", form)
    assert arguments("paplay", form).endswith("--device=hw:1")
    assert "-f FLOAT_LE -r 24000 -c 2" in arguments("aplay", form)
    assert arguments("aplay", form).endswith("-D hw:1")
    assert "--target=hw:1" in arguments("pw-cat", form)
    with pytest.raises(PlayerFailed, match="ffplay cannot choose a device"):
        arguments("ffplay", form)
