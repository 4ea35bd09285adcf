"""No process of ours outlives the daemon, whatever it was doing when it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import cosyd
from cosyd import errors
from tests.conformance.running import until
from tests.conformance.test_cloning import GOOD

STUCK = """
name: tone-stuck
family: tone
model_id: tone-stuck
languages: [en]
capabilities: []
audio: {sample_rate: 24000}
license: Apache-2.0
"""
CHILD = """
import sys, threading
from cosyd.lifeline import end_with_parent
end_with_parent()
print(flush=True)
threading.Event().wait()
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def gone(home: Any) -> None:
    """The daemon is killed, and all that it had started ends."""
    home.kill()
    until(lambda: not home.processes(), "all end with the daemon")


def children(home: Any, module: str) -> list[int]:
    """Pids of the processes of `home` that run `module`."""
    found = []
    for pid in home.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if module.encode() in words:
            found.append(pid)
    return found


def test_the_kernel_ends_a_child_with_its_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    until(lambda: not running(child), "the child ends")


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("after_ms", [0, 30, 60, 120, 500])
def test_killed_while_a_worker_loads(
    home: Any, monkeypatch: pytest.MonkeyPatch, after_ms: int
) -> None:
    """Early, it is not yet tied to its parent, and must see by itself that it is alone."""
    pack = home.folder / "packs" / "tone" / "tone-stuck"
    pack.mkdir(parents=True)
    (pack / "metadata.yaml").write_text(STUCK)
    monkeypatch.setenv("COSYD_VOICEPACKS", str(home.folder / "packs"))
    with cosyd.connect() as client:
        client.say("One.", voice="tone-stuck")
        until(lambda: children(home, "cosyd.worker"), "a worker starts")
        time.sleep(after_ms / 1000)  # any moment of its start will do
        gone(home)


def test_killed_while_it_speaks(home: Any) -> None:
    with cosyd.connect() as client:
        utterance = client.say("One. " * 500, instruct="busy_ms=300", pace="realtime")
        assert utterance.started
        assert children(home, "cosyd.worker")
        gone(home)


def test_killed_while_its_worker_hangs(home: Any) -> None:
    with cosyd.connect() as client:
        utterance = client.say("One. Two. Three.", instruct="hang_after=1")
        assert utterance.started
        gone(home)


def test_killed_while_a_recording_is_examined(home: Any) -> None:
    with cosyd.connect() as client:
        adding = threading.Thread(target=_add, args=(client,))
        adding.start()
        until(lambda: children(home, "cosyd.voices.recording"), "it is examined")
        gone(home)
        adding.join(30)


def _add(client: cosyd.Client) -> None:
    with pytest.raises(errors.CosydError):
        client.add_voice("mine", GOOD, "Hello.")


def test_a_closed_terminal_does_not_end_a_daemon_that_a_client_started(home: Any) -> None:
    with cosyd.connect() as client:
        utterance = client.say("One two three four five.", pace="realtime")
        assert utterance.started
        os.kill(client.hello.pid, signal.SIGHUP)
        assert utterance.result.kind == "finished"
        until(lambda: "settings reloaded" in home.log.read_text(), "it looks at its settings")


def test_reloaded_settings_hold_from_then_on(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home.folder / "config.toml"
    file.write_text('voice = "tone"\n')
    monkeypatch.setenv("COSYD_CONFIG", str(file))
    monkeypatch.delenv("COSYD_IDLE_TIMEOUT")
    with cosyd.connect() as client:
        assert client.status()["idle_timeout_s"] == 1800.0
        file.write_text("idle_timeout = 77\n")
        os.kill(client.hello.pid, signal.SIGHUP)
        until(lambda: client.status()["idle_timeout_s"] == 77.0, "the new one holds")
        file.write_text("idle_timeout = [\n")
        os.kill(client.hello.pid, signal.SIGHUP)
        until(lambda: "settings not reloaded" in home.log.read_text(), "it is logged")
        assert client.status()["idle_timeout_s"] == 77.0
        assert client.say("One.").result.kind == "finished"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(home: Any, number: signal.Signals) -> None:
    with cosyd.connect() as client:
        utterance = client.say("One two three four five. " * 100, pace="realtime")
        assert utterance.started
        os.kill(client.hello.pid, number)
        until(lambda: "ending" in home.log.read_text(), "it begins to end")
        os.kill(client.hello.pid, number)
        assert utterance.result.kind == "stopped"
    home.wait_for_end()
    assert not Path(home.socket).exists()
