"""Service managers as `cosy` uses them: systemd's user manager, and launchd."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from cosyd.cli.failure import Failure
from cosyd.cli.units import LABEL, File, Place, launchd_files, systemd_files
from cosyd.client.owner import SERVICE_UNIT, SOCKET_UNIT, systemd_listens_at, unit_dir

STOP_WAIT_S: Final = 660
"""A guard only: a stop waits for what is being said, as the unit allows."""


class Runner:
    """Runs a manager's command and says so, or only says what it would run."""

    def __init__(self, dry: bool = False, tell: Callable[[str], None] = lambda _line: None) -> None:
        self.dry = dry
        self._tell = tell

    def run(self, *words: str) -> None:
        """Raises `Failure` with what the command complained about."""
        self._tell(f"{'would run' if self.dry else 'ran'} {' '.join(words)}")
        if not self.dry and (complaint := complaint_of(words)) is not None:
            raise Failure(f"`{' '.join(words)}` failed: {complaint}")


def complaint_of(words: Sequence[str]) -> str | None:
    """What a command that failed says last; None if it succeeded."""
    import subprocess

    if shutil.which(words[0]) is None:
        return f"there is no {words[0]} here"
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STOP_WAIT_S
    )
    lines = (done.stderr or done.stdout).strip().splitlines()
    if done.returncode == 0:
        return None
    return lines[0] if lines else f"exit code {done.returncode}"


class Manager(Protocol):
    """What can be asked of a service manager."""

    name: str
    takes_over_first: bool
    """Whether it can listen before a daemon that clients started has left the path."""

    def files(self, place: Place) -> list[File]:
        """What it is to read."""

    def paths(self) -> list[Path]:
        """Where that is."""

    def why_not(self) -> str | None:
        """Why it cannot be used; None if it can."""

    def prepare(self, runner: Runner, place: Place, anew: bool) -> None:
        """Files are about to be written; with `anew`, in the place of others."""

    def load(self, runner: Runner, changed: bool) -> None:
        """Read the files, listen now and at every login."""

    def unload(self, runner: Runner) -> None:
        """Stop the daemon, listen no more."""

    def forget(self, runner: Runner) -> None:
        """The files are gone."""

    def start(self, runner: Runner) -> None:
        """Start the daemon."""

    def stop(self, runner: Runner) -> None:
        """Stop it; go on listening."""

    def restart(self, runner: Runner) -> None:
        """Stop it and start it."""

    def reload(self, runner: Runner) -> None:
        """Let it read its settings."""


class Systemd:
    """The user's systemd."""

    name = "systemd"
    takes_over_first = True  # it puts its socket in the place of the old one

    def files(self, place: Place) -> list[File]:
        """The units."""
        return systemd_files(place, Path(unit_dir(os.environ)))

    def paths(self) -> list[Path]:
        """The units' files."""
        return [Path(unit_dir(os.environ)) / unit for unit in (SOCKET_UNIT, SERVICE_UNIT)]

    def why_not(self) -> str | None:
        """Whether this user's manager runs."""
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        if not runtime:
            return "XDG_RUNTIME_DIR is not set: log in as this user, not through su or sudo"
        if not (Path(runtime) / "systemd" / "private").exists():
            return "no systemd of this user runs: type `loginctl enable-linger` and log in again"
        return None

    def prepare(self, runner: Runner, place: Place, anew: bool) -> None:
        """A socket that listens keeps its old path until it is stopped."""
        del place
        if anew:
            runner.run(*_SYSTEMCTL, "stop", SERVICE_UNIT, SOCKET_UNIT)

    def load(self, runner: Runner, changed: bool) -> None:
        """Only the socket is enabled: it starts the service."""
        if changed:
            runner.run(*_SYSTEMCTL, "daemon-reload")
        runner.run(*_SYSTEMCTL, "enable", "--now", SOCKET_UNIT)

    def unload(self, runner: Runner) -> None:
        """With what is being said finished first."""
        if self.why_not() is None:
            runner.run(*_SYSTEMCTL, "stop", SOCKET_UNIT, SERVICE_UNIT)
            runner.run(*_SYSTEMCTL, "disable", SOCKET_UNIT)
        elif not runner.dry:
            wants = Path(unit_dir(os.environ)) / "sockets.target.wants" / SOCKET_UNIT
            wants.unlink(missing_ok=True)

    def forget(self, runner: Runner) -> None:
        """Read the directory again."""
        if self.why_not() is None:
            runner.run(*_SYSTEMCTL, "daemon-reload")

    def start(self, runner: Runner) -> None:
        """Also after it was started too often."""
        complaint_of([*_SYSTEMCTL, "reset-failed", SOCKET_UNIT, SERVICE_UNIT])
        runner.run(*_SYSTEMCTL, "start", SOCKET_UNIT, SERVICE_UNIT)

    def stop(self, runner: Runner) -> None:
        """The service only."""
        runner.run(*_SYSTEMCTL, "stop", SERVICE_UNIT)

    def restart(self, runner: Runner) -> None:
        """The service only."""
        runner.run(*_SYSTEMCTL, "restart", SERVICE_UNIT)

    def reload(self, runner: Runner) -> None:
        """By the unit's ExecReload=."""
        runner.run(*_SYSTEMCTL, "reload", SERVICE_UNIT)


class Launchd:
    """The user's launchd domain."""

    name = "launchd"
    takes_over_first = False  # nothing says that it would

    def files(self, place: Place) -> list[File]:
        """The property list."""
        return launchd_files(place, _agents())

    def paths(self) -> list[Path]:
        """The property list's file."""
        return [_agents() / f"{LABEL}.plist"]

    def why_not(self) -> str | None:
        """Whether there is one."""
        return None if shutil.which("launchctl") else "there is no launchctl here"

    def prepare(self, runner: Runner, place: Place, anew: bool) -> None:
        """It is told to forget the old one; and it makes no directories."""
        if not runner.dry:
            Path(place.socket).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(place.log).parent.mkdir(parents=True, exist_ok=True)
        if anew and self._loaded():
            runner.run("launchctl", "bootout", _target())

    def load(self, runner: Runner, changed: bool) -> None:
        """It listens from then on."""
        if changed or not self._loaded():
            runner.run("launchctl", "enable", _target())
            runner.run("launchctl", "bootstrap", _domain(), str(self.paths()[0]))

    def unload(self, runner: Runner) -> None:
        """The daemon gets SIGTERM, and ExitTimeOut seconds."""
        if self._loaded():
            runner.run("launchctl", "bootout", _target())

    def forget(self, runner: Runner) -> None:
        """It reads the directory at login only."""

    def start(self, runner: Runner) -> None:
        """Without a request."""
        runner.run("launchctl", "kickstart", _target())

    def stop(self, runner: Runner) -> None:
        """Ask it to end."""
        runner.run("launchctl", "kill", "SIGTERM", _target())

    def restart(self, runner: Runner) -> None:
        """In one step."""
        runner.run("launchctl", "kickstart", "-k", _target())

    def reload(self, runner: Runner) -> None:
        """launchd has no word of its own for it."""
        runner.run("launchctl", "kill", "SIGHUP", _target())

    def _loaded(self) -> bool:
        return complaint_of(["launchctl", "print", _target()]) is None


_SYSTEMCTL: Final = ("systemctl", "--user")
MANAGERS: Final[dict[str, Manager]] = {"systemd": Systemd(), "launchd": Launchd()}


def _agents() -> Path:
    return Path.home() / "Library" / "LaunchAgents"


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _target() -> str:
    return f"{_domain()}/{LABEL}"


def owner(socket: str) -> Manager | None:
    """Who listens at `socket` and starts the daemon; None: clients do."""
    if systemd_listens_at(socket, os.environ):
        return MANAGERS["systemd"]
    if sys.platform == "darwin" and MANAGERS["launchd"].paths()[0].exists():
        return MANAGERS["launchd"]
    return None


def of_this_machine() -> Manager | None:
    """The one that can be used here."""
    kind = "launchd" if sys.platform == "darwin" else "systemd"
    return MANAGERS[kind] if MANAGERS[kind].why_not() is None else None
