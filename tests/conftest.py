"""A daemon of the tests' own, with the tone engine, in a directory of its own."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from cosyd.client.sync import connect
from cosyd.errors import CosydError

# Machines are noisy: how long an example takes says nothing about what it tests.
settings.register_profile("noisy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("noisy")

os.environ.setdefault("COSYD_CONFIG", "-")  # no test depends on who runs it

VOICEPACKS = Path(__file__).parent / "voicepacks"


class Home:
    """Where one daemon lives. It starts with the first client that connects to `socket`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "s")
        self.log = folder / "log"
        self.env = {
            "COSYD_CONFIG": "-",
            "COSYD_SOCKET": self.socket,
            "COSYD_LOG_FILE": str(self.log),
            "COSYD_LOG_LEVEL": "debug",
            "COSYD_DATA_DIR": str(folder / "data"),
            "COSYD_VOICEPACKS": str(VOICEPACKS),
            "COSYD_VOICE": "tone",
            "COSYD_VOICE_ZH": "tone",
            "COSYD_IDLE_TIMEOUT": "60",
        }

    def processes(self) -> list[int]:
        """Pids of all that live here (Linux: those whose environment names our socket)."""
        ours = f"COSYD_SOCKET={self.socket}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile, or is not ours to look into
                if ours in (folder / "environ").read_bytes() + b"\0":
                    found.append(int(folder.name))
        return [pid for pid in found if pid != os.getpid()]

    def daemons(self) -> list[int]:
        """Those of them that are daemons."""
        found = []
        for pid in self.processes():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"cosyd.daemon" in words:
                    found.append(pid)
        return found

    def wait_for_end(self) -> None:
        """Wait until all that live here have ended."""
        for pid in self.processes():
            assert _wait_for_end(pid, 30.0), f"{pid} goes on"

    def kill(self) -> None:
        """SIGKILL the daemon, and wait until it is gone."""
        for pid in self.daemons():
            _kill(pid)

    def clear(self) -> list[int]:
        """End the daemon as a user would; the pids that were still there a while later."""
        with suppress(CosydError), connect(self.socket, autostart=False) as client:
            client.shutdown(drain=False)
        left = [pid for pid in self.processes() if not _wait_for_end(pid, 10.0)]
        for pid in left:
            _kill(pid)
        return left


def _wait_for_end(pid: int, seconds: float) -> bool:
    with suppress(ChildProcessError):  # our own child stays a zombie until it is collected
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if seconds <= 0:
                return False
            time.sleep(0.02)  # a process of our own group gives no better event on every system
            seconds -= 0.02
        return True
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _wait_for_end(pid, 10.0)


@contextmanager
def _home(**settings: str) -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="cosy", dir="/tmp"))  # a socket's path must be short
    home = Home(folder)
    home.env.update(settings)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.env.items():
            patch.setenv(name, value)
        try:
            yield home
        finally:
            left = home.clear()
            log = home.log.read_text() if home.log.exists() else ""
            shutil.rmtree(folder)
    assert not left, f"processes were left behind: {left}\n{log}"
    assert "Traceback" not in log, log


@pytest.fixture
def home() -> Iterator[Home]:
    """A daemon for one test; nothing of it may be left afterwards. None runs yet."""
    if sys.platform != "linux":
        pytest.skip("looks into /proc for what is left behind")
    with _home() as found:
        yield found


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Home]:
    """A daemon for the tests of one module."""
    if sys.platform != "linux":
        pytest.skip("looks into /proc for what is left behind")
    with _home() as found:
        yield found
