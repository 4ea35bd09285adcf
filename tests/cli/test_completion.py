"""Shell completion, in the real shells where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cosyd.cli.completion import FILES, SHELLS, scripts
from cosyd.cli.group import COMMANDS
from cosyd.voices.catalog import Catalog

PACKS = Path(__file__).parents[1] / "voicepacks"
VOICES = sorted(name for name in Catalog([PACKS]).voices() if name.startswith("to"))
MODELS = sorted({voice.model for voice in Catalog([PACKS]).voices().values()})
EXPECTED = [
    (["sta"], ["status"]),
    (["say", "-v", "to"], VOICES),
    (["say", "--vol"], ["--volume"]),
    (["load", "to"], VOICES),
    (["unload", "to"], [name for name in MODELS if name.startswith("to")]),
    (["daemon", "resta"], ["restart"]),
    (["config", "get", "keep_a"], ["keep_alive"]),
    (["completion", "z"], ["zsh"]),
    (["say", "-v", "nobody"], []),
    (["nothing", ""], list(COMMANDS)),
]


@pytest.fixture
def env(fresh: Any, tmp_path: Path) -> dict[str, str]:
    """A PATH with `cosy` on it, and one voice."""
    program = tmp_path / "cosy"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cosyd.cli "$@"\n')
    program.chmod(0o755)
    found: dict[str, str] = {**fresh.env, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    return found


def complete(env: dict[str, str], shell: str, words: list[str]) -> list[str]:
    """What `cosy` itself prints for a shell, as the script has it asked."""
    asked = {
        "_COSY_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(["cosy", *words]),
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words)),
    }
    done = subprocess.run(
        ["cosy"], env={**env, **asked}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    if shell == "zsh":
        return done.stdout.splitlines()[1::3]
    return [line.split(",")[1].partition("\t")[0] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("words", "offers"), EXPECTED[:3])
def test_what_cosy_answers_each_shell(
    env: dict[str, str], shell: str, words: list[str], offers: list[str]
) -> None:
    assert complete(env, shell, words) == offers


@pytest.mark.parametrize(("words", "offers"), EXPECTED)
def test_bash(env: dict[str, str], words: list[str], offers: list[str]) -> None:
    quoted = " ".join(f"'{word}'" for word in ["cosy", *words])
    driver = f"""
    COMP_WORDS=({quoted}) COMP_CWORD={len(words)} COMPREPLY=()
    _cosy_completion cosy
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert _shell("bash", env, driver) == offers


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(("words", "offers"), EXPECTED)
def test_fish(env: dict[str, str], words: list[str], offers: list[str]) -> None:
    line = " ".join(["cosy", *words])
    told = _shell("fish", env, f'complete -C "{line}"\n')
    assert sorted(each.partition("\t")[0] for each in told) == sorted(offers)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_script(env: dict[str, str]) -> None:
    driver = "print $_comps[cosy]\n"
    assert _shell("zsh", env, driver, before="autoload -U compinit; compinit -u\n") == [
        "_cosy_completion"
    ]


def _shell(shell: str, env: dict[str, str], driver: str, before: str = "") -> list[str]:
    text = before + scripts()[shell] + driver
    done = subprocess.run([shell], input=text, env=env, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def test_files_are_left_to_the_shell(env: dict[str, str]) -> None:
    asked = {"_COSY_COMPLETE": "bash_complete", "COMP_WORDS": "cosy say -o x", "COMP_CWORD": "3"}
    done = subprocess.run(["cosy"], env={**env, **asked}, capture_output=True, check=False)
    assert done.stdout == b"file,x\n"


def test_broken_settings_and_voicepacks_are_silent(env: dict[str, str], tmp_path: Path) -> None:
    pack = tmp_path / "packs" / "family" / "broken"
    pack.mkdir(parents=True)
    packs = f"{env['COSYD_VOICEPACKS']}:{tmp_path / 'packs'}"
    assert complete({**env, "COSYD_VOICEPACKS": packs}, "bash", ["load", "to"]) == VOICES
    assert complete({**env, "COSYD_KEEP_ALIVE": "soon"}, "bash", ["load", "zz"]) == []


def test_nothing_heavy_is_imported_and_no_daemon_starts(env: dict[str, str], fresh: Any) -> None:
    asked = {"_COSY_COMPLETE": "bash_complete", "COMP_WORDS": "cosy say -v", "COMP_CWORD": "3"}
    env = {**env, **asked, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(["cosy"], env=env, capture_output=True, text=True, check=False)
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in names
    assert not names & {"numpy", "torch", "asyncio", "uvloop", "sounddevice", "onnxruntime"}
    assert not fresh.home.joinpath("s").exists()


def test_the_command_prints_the_script(cosy: Any) -> None:
    for shell, script in scripts().items():
        assert cosy("completion", shell).stdout.decode() == script
    assert set(FILES) == set(SHELLS)
    assert cosy("completion", "tcsh").returncode == 2
