"""Ctrl-C, SIGTERM and other terminals: it falls silent, the computing stops, nothing stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

LONG = "One two three four five six seven eight. " * 200
SLOW = ("--instruct", "slow_ms=50")


@contextmanager
def speaking(cosy: Any, *arguments: str) -> Iterator[Any]:
    """A `cosy say` into a pipe that has begun to speak."""
    with cosy.start("say", *SLOW, LONG, *arguments) as process:
        try:
            if "-o" not in arguments or arguments[arguments.index("-o") + 1] == "-":
                assert os.read(process.stdout.fileno(), 100)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_the_computing(cosy: Any, number: int, code: int) -> None:
    with speaking(cosy, "-o", "-") as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (code, b"")
    assert cosy.active() == 0
    assert cosy("say", "Again.", "-o", "-").returncode == 0


def test_ctrl_c_leaves_no_half_file(cosy: Any, tmp_path: Path, until: Callable[..., None]) -> None:
    with speaking(cosy, "-o", str(tmp_path / "x.wav")) as process:
        until(lambda: list(tmp_path.iterdir()))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert list(tmp_path.iterdir()) == []
    assert cosy.active() == 0


def test_ctrl_c_while_standard_input_is_read(cosy: Any, until: Callable[..., None]) -> None:
    with cosy.start("say", "-o", "-") as process:
        until(lambda: cosy.active() == 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""
    assert cosy.active() == 0


def test_a_player_is_silenced_by_ctrl_c(
    cosy: Any, tmp_path: Path, until: Callable[..., None]
) -> None:
    heard, gone = tmp_path / "heard", tmp_path / "gone"
    (tmp_path / "aplay").write_text(f"#!/bin/sh\n/bin/cat > {heard}\n/usr/bin/touch {gone}\n")
    (tmp_path / "aplay").chmod(0o755)
    with cosy.start("say", LONG, env={"PATH": str(tmp_path)}) as process:
        until(lambda: heard.exists() and heard.stat().st_size > 10_000)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert cosy.active() == 0
    assert heard.stat().st_size < len(LONG.split()) * 9600 / 2


def test_stop_in_another_terminal(cosy: Any, tmp_path: Path) -> None:
    with speaking(cosy, "-o", "-") as process:
        stopped = cosy("stop")
        assert (stopped.returncode, stopped.stdout) == (0, b"Stopped.\n")
        _, err = process.communicate(timeout=30)
        assert process.returncode == 1
        assert b"stopped before the end" in err
    assert list(tmp_path.iterdir()) == []
    assert cosy("stop").stdout == b"Nothing is being spoken.\n"


def test_pause_and_resume_in_another_terminal(cosy: Any) -> None:
    with cosy.start("say", "--instruct", "slow_ms=300", "One. " * 12, "--raw", "-o", "-") as said:
        os.set_blocking(said.stdout.fileno(), True)
        first = os.read(said.stdout.fileno(), 1920)
        assert cosy("pause").stdout.startswith(b"Paused")
        assert cosy.active() == 1
        assert cosy("resume").stdout == b"Resumed.\n"
        rest, err = said.communicate(timeout=60)
        assert (said.returncode, err) == (0, b"")
        assert len(first + rest) == 12 * 9600


def test_a_paused_one_can_be_interrupted(cosy: Any) -> None:
    with speaking(cosy, "-o", "-") as process:
        cosy("pause")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
    assert cosy.active() == 0


def test_interrupt_takes_the_channel_over(cosy: Any) -> None:
    with speaking(cosy, "--channel", "news", "-o", "-") as process:
        urgent = cosy("say", "--channel", "news", "--interrupt", "Stop!", "-o", "-")
        assert urgent.returncode == 0
        process.communicate(timeout=30)
        assert process.returncode == 1
    assert cosy.active() == 0
