"""The real daemon as a subprocess, on a socket of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.conformance.plain_client import GUARD_S, Peer

ROOT = Path(__file__).parents[2]
MARK = "COSYD_DATA_DIR"
"""A variable whose value is unique to each daemon and inherited by its workers."""


def until(happened: Callable[[], object], what: str) -> None:
    """Look again until it has happened; another process's state gives no event to wait for."""
    end = time.monotonic() + GUARD_S
    while not happened():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


class Running:
    """One daemon, from start to certain end."""

    def __init__(
        self, env: dict[str, str] | None = None, *, arguments: list[str] | None = None
    ) -> None:
        self.home = self.fresh_home()
        self.path = str(self.home / "run" / "s")
        self.log = self.home / "log"
        arguments = ["--socket", self.path] if arguments is None else arguments
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cosyd.daemon", *arguments],
                env=self._env(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
            )

    @staticmethod
    def fresh_home() -> Path:
        """A directory with a short name: a socket's path may not be long."""
        return Path(tempfile.mkdtemp(prefix="cc-"))

    def _env(self, extra: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "PYTHONPATH": str(ROOT),
            "COSYD_VOICEPACKS": str(ROOT / "tests" / "voicepacks"),
            "COSYD_VOICE": "tone",
            "COSYD_VOICE_ZH": "tone",
            "COSYD_IDLE_TIMEOUT": "1500",  # it ends even if this process is killed
            "COSYD_BACKOFF_S": "0.05",
            "COSYD_BREAKER_CRASHES": "5",  # more than any test here causes in a row
            MARK: str(self.home / "data"),
            **extra,
        }

    def ready(self, path: str | None = None) -> Running:
        """Wait until it answers."""
        self.path = path or self.path
        until(self._answers, f"the daemon answers: {self.log.read_text()}")
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            Peer(self.path).close()
        except OSError:
            return False
        return True

    def processes(self) -> list[int]:
        """The daemon and every worker it has left, as the system sees them."""
        mark = f"{MARK}={self.home / 'data'}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except (OSError, ProcessLookupError):  # it ended while we looked
                continue
        return found

    def quiet(self) -> None:
        """Wait until every connection but ours is gone, and all their utterances too."""
        until(self._idle, "the daemon is quiet after its clients left")

    def _idle(self) -> bool:
        with closing(Peer(self.path)) as peer:
            try:
                status = peer.status()
            except ConnectionError:  # those that have just left still fill it
                return False
        counts = status["utterances"]
        return bool(status["connections"] == 1 and counts["active"] == counts["queued"] == 0)

    def kill(self) -> None:
        """End it like a service manager does, then insist, and see that nothing is left."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(GUARD_S)
            until(lambda: not self.processes(), "the workers end with their daemon")
        finally:
            self.process.kill()
            self.process.wait()
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.home, ignore_errors=True)
