"""What a command imports, and that every help page can be shown."""

from __future__ import annotations

import os
from typing import Any

import pytest

COMMANDS = [
    [],
    ["say"],
    ["voices"],
    ["status"],
    ["ps"],
    ["doctor"],
    ["logs"],
    ["metrics"],
    ["completion"],
    ["man"],
    ["pause"],
    ["resume"],
    ["stop"],
    ["load"],
    ["unload"],
    ["config"],
    *(["config", each] for each in ("show", "get", "set", "unset", "edit", "path")),
    ["daemon"],
    ["daemon", "start"],
    ["daemon", "stop"],
    ["daemon", "restart"],
    ["daemon", "status"],
]
HEAVY = {"numpy", "torch", "asyncio", "uvloop", "sounddevice", "onnxruntime", "soxr"}
NOT_FOR_SAY = HEAVY | {"click", "subprocess", "platformdirs", "argparse", "yaml", "json", "logging"}


def imported(err: bytes) -> set[str]:
    """The top-level packages that -X importtime tells of."""
    lines = [line for line in err.decode().splitlines() if line.startswith("import time:")]
    assert len(lines) > 20
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_page(cosy: Any, command: list[str]) -> None:
    done = cosy(*command, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.startswith("Usage: cosy")
    assert max(map(len, text.splitlines())) <= 100
    assert cosy(*command, "-h").stdout == done.stdout


def test_say_to_a_pipe_imports_next_to_nothing(cosy: Any) -> None:
    cosy("daemon", "start")
    done = cosy("say", "Hello", "-o", "-", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert imported(done.stderr) & NOT_FOR_SAY == set()


@pytest.mark.parametrize("command", [["status"], ["voices"], ["say", "-o-", "Hello"]])
def test_no_command_imports_what_only_daemons_need(cosy: Any, command: list[str]) -> None:
    done = cosy(*command, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert imported(done.stderr) & HEAVY == set()


def test_version(cosy: Any) -> None:
    from cosyd import __version__

    done = cosy("--version")
    assert (done.returncode, done.stdout.decode()) == (0, f"cosy {__version__}\n")


def test_without_a_command_the_help_is_shown(cosy: Any) -> None:
    done = cosy()
    assert done.returncode == 2
    assert b"Commands:" in done.stdout


@pytest.mark.parametrize(
    ("word", "hint"), [("sya", "cosy say"), ("Hello there", "cosy say 'Hello there'")]
)
def test_an_unknown_command_gets_a_hint(cosy: Any, word: str, hint: str) -> None:
    done = cosy(word)
    assert (done.returncode, done.stdout) == (2, b"")
    assert hint in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_list_into_a_closed_pipe_is_no_failure(cosy: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = cosy("voices", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
