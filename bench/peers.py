"""The systems that are compared, under one face: start it, connect, say, hear.

All that compute run at the same niceness (cosyd's workers' default), so that what else the
machine does hits all of them alike.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final, Protocol, Self

from bench import wyoming
from bench.home import ROOT, Home, home
from bench.machine import rss_bytes
from bench.wire import Link
from cosyd.config import Config

VOICE: Final = "af_heart"
NICE: Final = ["nice", "-n", str(Config().worker_nice)]


class Connection(Protocol):
    """One client's connection. One text at a time."""

    def say(self, text: str) -> None:
        """Send a text."""

    def first(self) -> None:
        """Wait for the first audio of it."""

    def rest(self) -> float:
        """Wait for the rest of it; seconds of audio, all in all."""

    def instead(self, text: str) -> None:
        """Say this instead of what is being said, as soon as the system can."""

    def ask(self) -> None:
        """Ask the smallest thing that the system answers, and wait for the answer."""


class Peer(AbstractContextManager["Peer"], Protocol):
    """A system. Entering it starts its process, with nothing loaded; leaving it ends it."""

    name: str
    several: bool
    """Whether it serves several clients."""

    def connect(self) -> Connection:
        """A connection; the first may have to wait until the system is up."""

    def rss_mb(self) -> float:
        """Resident memory of all its processes, MB of 10^6 bytes."""


class _CosydConnection:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._number = 0

    def say(self, text: str) -> None:
        self._number = self._link.say(text, voice=VOICE)

    def first(self) -> None:
        self._link.wait("audio", self._number)

    def rest(self) -> float:
        finished = self._link.wait("finished", self._number)
        return float(finished["stats"]["audio_ms"]) / 1000

    def instead(self, text: str) -> None:
        self._link.call("stop", "stopped", id=self._number)
        self.say(text)

    def ask(self) -> None:
        self._link.call("ping", "pong")


class Cosyd(ExitStack):
    """Ours, with Kokoro: daemon and worker."""

    name = "cosyd"
    several = True

    def __enter__(self) -> Self:
        self._home: Home = self.enter_context(home())
        return self

    def connect(self) -> Connection:
        """Starts the daemon."""
        self._home.connect().close()
        return _CosydConnection(Link(self._home.socket))

    def rss_mb(self) -> float:
        """Daemon and worker."""
        with self._home.connect() as client:
            pids = [client.hello.pid, *(model["pid"] for model in client.status()["models"])]
        return sum(map(rss_bytes, pids)) / 1e6


class _PlainConnection:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def first(self) -> None:
        self._line("first")

    def rest(self) -> float:
        return float(self._line("end"))

    def instead(self, text: str) -> None:
        raise NotImplementedError("a script says one thing after another")

    def ask(self) -> None:
        raise NotImplementedError("a script answers nobody")

    def _line(self, kind: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told, _, value = line.strip().partition(" ")
            if told == kind:
                return value
        raise RuntimeError("the script ended early")


class Plain(ExitStack):
    """A Kokoro script: one process, one user."""

    name = "plain script"
    several = False

    def __enter__(self) -> Self:
        command = [*NICE, sys.executable, "-m", "bench.plain", VOICE]
        self._process = subprocess.Popen(command, stdin=-1, stdout=-1, cwd=ROOT, text=True)
        self.callback(_end, self._process)
        return self

    def connect(self) -> Connection:
        """Its pipes."""
        return _PlainConnection(self._process)

    def rss_mb(self) -> float:
        """The script."""
        return rss_bytes(self._process.pid) / 1e6


class WyomingPiper(ExitStack):
    """wyoming-piper with its voice joe, both from packages."""

    name = "wyoming-piper"
    several = True

    def __init__(self, python: Path, data: str) -> None:
        """`data`: the folder that the voice is in."""
        super().__init__()
        self._python = python
        self._data = data

    def __enter__(self) -> Self:
        folder = self.enter_context(tempfile.TemporaryDirectory(prefix="wyoming"))
        self._socket = str(Path(folder) / "s")
        server = wyoming.server_command(self._python, self._data, self._socket, folder)
        log = self.enter_context(Path(folder, "log").open("wb"))
        self._process = subprocess.Popen([*NICE, *server], stdin=-1, stdout=log, stderr=log)
        self.callback(_end, self._process)
        return self

    def connect(self) -> Connection:
        """Waits until it listens."""
        return wyoming.Connection(self._socket, self._process)

    def rss_mb(self) -> float:
        """The server."""
        return rss_bytes(self._process.pid) / 1e6


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()


MakePeer = Callable[[], Peer]
