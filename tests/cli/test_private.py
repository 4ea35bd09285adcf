"""Speaking without the shared daemon, by wish and for need."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_no_daemon_speaks_and_starts_none(fresh: Any) -> None:
    done = fresh("say", "One two.", "--no-daemon", "--raw", "-o", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) == 2 * 9600
    assert json.loads(fresh("status", "--json").stdout) == {"running": False}
    assert not (fresh.home / "s").exists()


@pytest.mark.parametrize("path", ["/dev/null/s", "/tmp/" + "x" * 200])
def test_where_no_daemon_can_be_it_speaks_all_the_same(fresh: Any, path: str) -> None:
    done = fresh("say", "One two.", "--raw", "-o", "-", env={"COSYD_SOCKET": path})
    assert done.returncode == 0
    assert done.stderr.startswith(b"cosy: speaking without the daemon: ")
    assert done.stderr.count(b"\n") == 1
    assert len(done.stdout) == 2 * 9600


def test_a_directory_that_others_may_read_is_not_used(fresh: Any) -> None:
    shared = fresh.home / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    done = fresh("say", "One.", "--raw", "-o", "-", env={"COSYD_SOCKET": str(shared / "s")})
    assert done.returncode == 0
    assert b"chmod 700" in done.stderr
    assert len(done.stdout) == 9600


def test_ctrl_c_ends_the_private_daemon_too(fresh: Any, until: Callable[..., None]) -> None:
    with fresh.start("say", "One. " * 500, "--no-daemon", "-o", "-") as process:
        assert os.read(process.stdout.fileno(), 100)
        mine = children_of(process.pid)
        assert mine
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
    until(lambda: not any(running(pid) for pid in mine))


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    """The process's children and theirs (Linux)."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("this kernel does not list children")
    own = [int(child) for child in listed.read_text().split()]
    return own + [grandchild for child in own for grandchild in children_of(child)]
