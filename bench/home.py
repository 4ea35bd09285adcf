"""A daemon of the benchmark's own: own socket, own settings, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cosyd.client.sync import Client, connect
from cosyd.engines.registry import find, missing
from cosyd.errors import CosydError

ROOT = Path(__file__).parent.parent
ENDING_S = 10.0
"""How long a daemon may take to end before it is killed."""
KEPT = "COSYD_DATA_DIR"
"""The one setting of the user's that stays: where the model may have been put together."""


class Home:
    """Where one daemon lives. It starts with the first client that connects."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "cosyd" / "cosyd.sock")
        self.log = folder / "state" / "cosyd" / "log" / "cosyd.log"
        self.env = {
            "COSYD_VOICEPACKS": str(ROOT / "tests" / "voicepacks"),  # the tone engine's voice
            "COSYD_KEEP_ALIVE": "120",
            "COSYD_IDLE_TIMEOUT": "60",
            "COSYD_LOG_FORMAT": "json",  # bench.pipe reads it
            **self._places(folder),
        }

    def _places(self, folder: Path) -> dict[str, str]:
        """Set as a desktop's session has them where that works: settings could hide costs."""
        if sys.platform == "linux":
            places = {"RUNTIME_DIR": folder, "STATE_HOME": folder / "state", "CONFIG_HOME": folder}
            return {f"XDG_{name}": str(place) for name, place in places.items()}
        return {
            "COSYD_SOCKET": self.socket,
            "COSYD_LOG_FILE": str(self.log),
            "COSYD_CONFIG": "-",
        }

    def connect(self, autostart: bool = True) -> Client:
        """A client of the daemon, which is started if need be."""
        return connect(self.socket, autostart=autostart, client="bench")


@contextmanager
def home() -> Iterator[Home]:
    """A home for one daemon. The environment is its own until the block ends, and so are we."""
    folder = Path(tempfile.mkdtemp(prefix="cosy", dir="/tmp"))  # a socket's path must be short
    found = Home(folder)
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("COSYD_") and name != KEPT]:
        del os.environ[name]
    os.environ.update(found.env)
    try:
        yield found
    finally:
        _end_daemon(found)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder)


def _end_daemon(found: Home) -> None:
    try:
        with found.connect(autostart=False) as client:
            pid = client.hello.pid
            with suppress(CosydError):  # it may hang up before it has said good-bye
                client.shutdown(drain=False)
    except CosydError:
        return  # none runs
    wait_for_end(pid)


def wait_for_end(pid: int, seconds: float = ENDING_S) -> None:
    """Wait until a process is gone; kill it if it is not in time."""
    end = time.monotonic() + seconds
    while _is_there(pid):
        if time.monotonic() > end:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            end = float("inf")
        time.sleep(0.01)  # a daemon is not always our child: nothing to wait for everywhere


def _is_there(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:  # not our child, or collected already
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def cosy() -> list[str]:
    """The command `cosy` as users have it."""
    script = Path(sys.executable).with_name("cosy")
    return [str(script)] if script.exists() else [sys.executable, "-m", "cosyd.cli"]


def kokoro_missing() -> str | None:
    """Why Kokoro cannot be measured here, if so."""
    descriptor = find("kokoro")
    assert descriptor is not None
    names = missing(descriptor)
    return f"{', '.join(names)} missing: {descriptor.install}" if names else None
