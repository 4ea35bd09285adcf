"""The real `cosy` as a subprocess, in a home of its own, against a real daemon with tones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INHERITED = ("PATH", "LANG", "PYTHONPYCACHEPREFIX")


class Cosy:
    """Runs `cosy`; the first command that needs a daemon starts one in `home`."""

    def __init__(self, home: Any) -> None:
        self.home: Path = home.folder
        self.env = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            **home.env,
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "PULSE_SERVER": "unix:/nonexistent",  # no test makes a noise unless it means to
        }

    def start(self, *arguments: str, env: dict[str, str] | None = None, **how: Any) -> Any:
        """The running process; pipes of bytes unless told otherwise."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-m", "cosyd.cli", *arguments]
        return subprocess.Popen(command, env={**self.env, **(env or {})}, **{**pipes, **how})

    def __call__(
        self, *arguments: str, input: bytes = b"", env: dict[str, str] | None = None, **how: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run to the end."""
        with self.start(*arguments, env=env, **how) as process:
            try:
                out, err = process.communicate(input, timeout=60)
            finally:
                process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def status(self) -> dict[str, Any]:
        """What `cosy status --json` says."""
        status: dict[str, Any] = json.loads(self("status", "--json").stdout)
        return status

    def active(self) -> int:
        """Utterances that are being spoken or wait."""
        counts = self.status().get("utterances", {"active": 0, "queued": 0})
        return int(counts["active"] + counts["queued"])


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """Waits until something outside has happened."""
    return _until


def _until(happened: Callable[[], object], seconds: float = 30.0) -> None:
    """Look again until it has happened; another process's state gives no event to wait for."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cosy(shared_home: Any) -> Cosy:
    """`cosy` with one daemon for a module's tests."""
    return Cosy(shared_home)


@pytest.fixture
def fresh(home: Any) -> Cosy:
    """`cosy` where no daemon has run yet."""
    return Cosy(home)
