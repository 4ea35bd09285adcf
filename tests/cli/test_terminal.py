"""`-i` and `--progress` in a real pseudo-terminal, and into a pipe."""

from __future__ import annotations

import os
import pty
from pathlib import Path
from typing import Any

import pytest

TEXT = "One two three. Four five six. " * 3
LONG_TEXT = "One two three four five six seven eight nine ten. " * 80


def in_terminal(cosy: Any, *arguments: str, env: dict[str, str] | None = None) -> str:
    """What a terminal shows on stderr while `cosy say ARGUMENTS` runs; the exit code is 0."""
    ours, theirs = pty.openpty()
    os.set_inheritable(theirs, True)
    settings = {"TERM": "xterm", **(env or {})}
    with cosy.start("say", *arguments, "-o", "/dev/null", stderr=theirs, env=settings) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:  # EIO: the other end is closed
                break
            if not data:
                break
            shown += data
        assert process.wait(30) == 0
    os.close(ours)
    return shown.decode()


def test_the_text_is_shown_with_highlights(cosy: Any) -> None:
    shown = in_terminal(cosy, "-i", TEXT)
    assert shown.count("\x1b[7m") >= 6
    assert "\x1b[7mFour five six." in shown
    assert shown.split()[-3:] == ["\x1b[1A\x1b[75C\x1b[JFour", "five", "six."]  # plain again


def test_no_color_underlines_instead(cosy: Any) -> None:
    shown = in_terminal(cosy, "-i", TEXT, env={"NO_COLOR": "1"})
    assert "\x1b[4m" in shown
    assert "\x1b[7m" not in shown


def test_a_dumb_terminal_gets_no_escapes(cosy: Any) -> None:
    shown = in_terminal(cosy, "-i", TEXT, env={"TERM": "dumb"})
    assert "\x1b" not in shown
    assert shown.split() == TEXT.split()
    assert in_terminal(cosy, "--progress", TEXT, env={"TERM": "dumb"}) == ""


def test_text_longer_than_the_screen_is_shown_whole(cosy: Any) -> None:
    shown = in_terminal(cosy, "-i", LONG_TEXT)
    assert shown.count("\x1b[7mOne") == 80


def test_progress_reaches_the_end(cosy: Any) -> None:
    shown = in_terminal(cosy, "--progress", LONG_TEXT)
    assert "\r[" in shown
    assert "100%" in shown
    assert "  0%" in shown


@pytest.mark.parametrize("option", ["-i", "--progress"])
def test_into_a_pipe_they_show_nothing(cosy: Any, tmp_path: Path, option: str) -> None:
    done = cosy("say", option, TEXT, "-o", str(tmp_path / "x.wav"), env={"TERM": "xterm"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
