"""A real `systemd --user` for one test module: a login with an empty home, in namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

GUARD_S: Final = 30.0
_HIERARCHIES: Final = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
"""Where the second version of control groups is: beside the first one, or alone."""

# systemd runs only where it finds its own directory and a control group that is its to divide.
# Both are made in a mount namespace, so that the machine's real ones are not touched.
_PREPARE: Final = r"""
set -e
[ -d /run/systemd ] || mkdir /run/systemd
mount -t tmpfs -o mode=755 cosyd-test /run/systemd
mkdir -p /run/systemd/system
mount -t cgroup2 cosyd-test /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$GROUP"
echo 0 > "/sys/fs/cgroup/$GROUP/cgroup.procs"
"""
_BECOME: Final = (
    'exec env -i HOME="$HOME" USER=root PATH=/usr/bin:/bin LANG=C.UTF-8 '
    'XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" "$SYSTEMD" --user --log-target=console --log-level=info'
)


def _systemd() -> str | None:
    places = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
    return next((place for place in places if os.access(place, os.X_OK)), None)


def why_not() -> str | None:
    """Why no such manager can run here; None if one can."""
    if os.getuid() != 0:
        return "a systemd of the tests' own needs root, for its namespaces"
    if _systemd() is None or shutil.which("systemctl") is None:
        return "no systemd: apt-get install --no-install-recommends systemd dbus-user-session"
    group = _new_group()
    done = _unshare(f"{_PREPARE} echo 0 > /sys/fs/cgroup/cgroup.procs", {"GROUP": group})
    _remove_group(group)
    if done.returncode != 0:
        return f"the kernel forbids namespaces or control groups: {done.stderr.strip()}"
    return None


def _unshare(script: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_UNSHARE, script], env={**os.environ, **env}, capture_output=True, text=True
    )


_UNSHARE: Final = ("unshare", "--mount", "--propagation", "private", "sh", "-c")


def _new_group() -> str:
    return f"cosyd-test-{os.getpid()}-{time.monotonic_ns()}"


class UserManager:
    """One login: its home, its runtime directory, and the systemd that serves it."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="cosyu", dir="/tmp"))  # sockets need short paths
        self.home = self.root / "home"
        self.runtime = self.root / "run"
        self.log = self.root / "daemon.log"
        self.home.mkdir()
        self.runtime.mkdir(mode=0o700)
        self.socket = str(self.runtime / "cosyd" / "cosyd.sock")
        self.env = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
        }
        self._group = _new_group()
        self._log = (self.root / "manager.log").open("wb")
        self._process = subprocess.Popen(
            [*_UNSHARE, f"{_PREPARE}\n{_BECOME}"],
            env={**self.env, "GROUP": self._group, "SYSTEMD": _systemd() or ""},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + GUARD_S
        while self.try_systemctl("show", "--property=Version").returncode != 0:
            said = (self.root / "manager.log").read_text()
            assert self._process.poll() is None, f"systemd ended: {said}"
            assert time.monotonic() < end, f"systemd does not answer: {said}"
            time.sleep(0.02)  # it tells only its own manager that it is ready, and has none

    def try_systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Ask this manager."""
        return self.run("systemctl", "--user", *words)

    def systemctl(self, *words: str) -> str:
        """What it prints; it must succeed."""
        done = self.try_systemctl(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command as in a terminal of this login."""
        return subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=120)

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit as its user would; it is read at once."""
        folder = self.home / ".config" / "systemd" / "user" / f"{unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(text)
        self.systemctl("daemon-reload")

    def close(self) -> None:
        """End every process of this login."""
        for base in _HIERARCHIES:
            with suppress(OSError):
                (Path(base) / self._group / "cgroup.kill").write_text("1")
        self._process.kill()
        self._process.wait(GUARD_S)
        _remove_group(self._group)
        self._log.close()
        shutil.rmtree(self.root, ignore_errors=True)


def _remove_group(group: str) -> None:
    for base in _HIERARCHIES:
        folder = Path(base) / group
        end = time.monotonic() + GUARD_S
        while folder.exists() and time.monotonic() < end:
            for inner, _, _ in os.walk(folder, topdown=False):
                with suppress(OSError):  # a process of it has not quite ended
                    Path(inner).rmdir()
            time.sleep(0.01)
