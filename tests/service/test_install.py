"""`cosy install` and `cosy uninstall`, against a real systemd and against a stand-in launchctl."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import cosyd
from tests.service.conftest import VOICEPACKS, Login


@pytest.fixture
def clean(login: Login) -> Iterator[Login]:
    """Nothing is installed before, and nothing is left after."""
    yield login
    code, _, complaint = login.cosy("uninstall", "--force")
    assert code == 0, complaint


def left(login: Login) -> list[str]:
    """All files of the home, but for what programs keep there by themselves."""
    found = [path for path in login.home.rglob("*") if path.is_file() or path.is_symlink()]
    return sorted(str(path.relative_to(login.home)) for path in found if ".cache" not in path.parts)


def test_installing_twice_and_uninstalling_twice(clean: Login) -> None:
    before = left(clean)
    code, told, complaint = clean.cosy("install", "--dry-run")
    assert (code, complaint) == (0, "")
    assert {line.partition(" ")[0] for line in told.splitlines()} == {"would"}
    assert left(clean) == before

    code, told, complaint = clean.cosy("install")
    assert (code, complaint) == (0, "")
    units = clean.home / ".config" / "systemd" / "user"
    assert f"wrote {units}/cosyd.socket" in told
    assert "ran systemctl --user enable --now cosyd.socket" in told
    service = (units / "cosyd.service").read_text()
    assert f"ExecStart={sys.executable} -P -m cosyd.daemon" in service
    assert clean.show("cosyd.socket", "ActiveState") == "active"
    assert clean.show("cosyd.socket", "UnitFileState") == "enabled"
    assert (clean.home / ".local/share/man/man1/cosy-say.1").is_file()

    code, told, complaint = clean.cosy("install")
    assert (code, complaint) == (0, "")
    assert "wrote" not in told
    assert f"unchanged {units}/cosyd.service" in told

    code, told, complaint = clean.cosy("uninstall", "--dry-run")
    assert (code, complaint) == (0, "")
    assert (units / "cosyd.socket").is_file()
    code, told, complaint = clean.cosy("uninstall")
    assert (code, complaint) == (0, "")
    assert f"removed {units}/cosyd.socket" in told
    assert left(clean) == before
    assert clean.show("cosyd.socket", "LoadState") == "not-found"
    assert clean.cosy("uninstall") == (0, "Nothing is installed.\n", "")


def test_what_somebody_edited_is_left_alone(clean: Login) -> None:
    assert clean.cosy("install")[0] == 0
    unit = clean.home / ".config" / "systemd" / "user" / "cosyd.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=90"))
    edited = left(clean)
    for command in ("install", "uninstall"):
        code, _, complaint = clean.cosy(command)
        assert code == 1
        assert str(unit) in complaint
        assert "--force" in complaint
    assert "WatchdogSec=90" in unit.read_text()
    assert left(clean) == edited
    assert clean.show("cosyd.socket", "ActiveState") == "active"
    code, told, _ = clean.cosy("install", "--force")
    assert (code, f"wrote {unit}" in told) == (0, True)
    assert "WatchdogSec=30" in unit.read_text()


def test_a_daemon_that_a_client_started_hands_over(
    clean: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"VOICEPACKS": str(VOICEPACKS), "VOICE": "tone"}.items():
        monkeypatch.setenv(f"COSYD_{name}", value)
    with cosyd.connect() as client:
        assert client.status()["activation"] == "self"
        utterance = client.say("One two three four five six seven.", pace="realtime")
        assert utterance.started
        with ThreadPoolExecutor(1) as pool:
            installing = pool.submit(clean.cosy, "install")
            assert utterance.result.kind == "finished"
            code, told, complaint = installing.result()
        assert (code, complaint) == (0, "")
        assert "told the running daemon to hand over" in told
    inode = Path(clean.socket).stat().st_ino
    with cosyd.connect() as client:
        assert client.status()["activation"] == "systemd"
    assert Path(clean.socket).stat().st_ino == inode
    clean.systemctl("stop", "cosyd.service")


def test_a_socket_elsewhere(clean: Login) -> None:
    config = clean.home / ".config" / "cosyd" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f'socket = "{clean.root}/elsewhere/s"\n')
    try:
        assert clean.cosy("install")[0] == 0
        listened = clean.show("cosyd.socket", "Listen")
        assert listened == f"{clean.root}/elsewhere/s (Stream)"
        with cosyd.connect() as client:
            assert client.status()["activation"] == "systemd"
        config.unlink()
        code, told, complaint = clean.cosy("install")  # back to the usual place
        assert (code, complaint) == (0, ""), told
        assert clean.show("cosyd.socket", "Listen") == f"{clean.socket} (Stream)"
    finally:
        config.unlink(missing_ok=True)
        clean.systemctl("stop", "cosyd.service")


LAUNCHCTL = """#!/bin/sh
echo "$@" >> "$HOME/asked"
case "$1" in
  print) [ -e "$HOME/loaded" ] ;;
  bootstrap) touch "$HOME/loaded" ;;
  bootout) rm "$HOME/loaded" ;;
esac
"""


@pytest.fixture
def launchd_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a launchctl that only notes what it is asked."""
    program = tmp_path / "bin" / "launchctl"
    program.parent.mkdir()
    program.write_text(LAUNCHCTL)
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    for name in [*os.environ]:
        if name.startswith(("COSYD_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("COSYD_SOCKET", str(tmp_path / "run" / "s"))
    return home


def test_launchd_is_asked_in_this_order(
    launchd_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cosyd.cli import main

    agent = launchd_home / "Library" / "LaunchAgents" / "org.cosyd.plist"
    target, domain = f"gui/{os.getuid()}/org.cosyd", f"gui/{os.getuid()}"

    def asked(*words: str) -> list[str]:
        notes = launchd_home / "asked"
        notes.unlink(missing_ok=True)
        assert main([*words]) == 0
        return [line for line in notes.read_text().splitlines() if not line.startswith("print")]

    assert asked("install", "--launchd") == [f"enable {target}", f"bootstrap {domain} {agent}"]
    assert agent.is_file()
    assert asked("install", "--launchd") == []
    agent.unlink()
    assert asked("install", "--launchd")[-1] == f"bootstrap {domain} {agent}"
    assert asked("uninstall") == [f"bootout {target}"]
    assert not agent.exists()
    assert f"removed {agent}" in capsys.readouterr().out
