"""Starting the daemon: exactly one, no client lost, and clear words when it cannot be."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import cosyd
from cosyd import errors, rendezvous
from cosyd.client import autostart

Connect = Callable[..., cosyd.Client]

ROUNDS_OF_KILLS = 50
ROUNDS_OF_IDLE = 50  # of each client

# Waits to be told, so that all of them connect at the same moment; then says one thing.
CLIENT = """
import sys
import cosyd.client.sync as sync
print("ready", flush=True)
for _ in sys.stdin:
    with sync.connect() as client:
        result = client.say("One.").result
        print(client.hello.pid, result.kind, result.samples, flush=True)
"""


class Crowd:
    """Client processes that all connect when told."""

    def __init__(self, size: int) -> None:
        self._clients = [
            subprocess.Popen(
                [sys.executable, "-c", CLIENT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(size)
        ]
        for client in self._clients:
            assert self._line(client) == "ready\n"

    def go(self) -> list[str]:
        """What each of them has to tell."""
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.write("go\n")
            client.stdin.flush()
        return [self._line(client) for client in self._clients]

    def close(self) -> None:
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.close()
        for client in self._clients:
            assert client.stderr is not None
            assert client.stdout is not None
            complaint = client.stderr.read()
            assert client.wait(30) == 0, complaint
            client.stdout.close()
            client.stderr.close()

    @staticmethod
    def _line(client: subprocess.Popen[str]) -> str:
        assert client.stdout is not None
        return client.stdout.readline()


@pytest.fixture
def crowd(home: Any) -> Iterator[Crowd]:
    del home  # its environment comes first
    found = Crowd(8)
    yield found
    found.close()


@pytest.mark.timeout(400)
def test_eight_clients_get_one_daemon_after_every_kill(home: Any, crowd: Crowd) -> None:
    seen = set()
    for _ in range(ROUNDS_OF_KILLS):
        told = [line.split() for line in crowd.go()]
        assert [words[1:] for words in told] == [["finished", "4800"]] * 8
        pids = {int(words[0]) for words in told}
        assert pids == set(home.daemons())
        assert len(pids) == 1
        seen |= pids
        home.kill()
    assert len(seen) == ROUNDS_OF_KILLS


def test_nobody_is_lost_while_the_daemon_ends_for_idleness(
    home: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    monkeypatch.setenv("COSYD_IDLE_TIMEOUT", "0.0")
    pids = []
    moments = random.Random(1)
    for _ in range(ROUNDS_OF_IDLE):
        time.sleep(moments.uniform(0.0, 0.001))  # to come at every moment of its end
        with connect() as client:
            assert client.ping() >= 0
            pids.append(client.hello.pid)
    assert len(set(pids)) > 2  # it did end in between


def test_threads_that_start_it_together_get_one(home: Any, connect: Connect) -> None:
    def pid(_: int) -> int:
        with connect() as client:
            return client.hello.pid

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(pid, range(8)))) == 1
    assert len(home.daemons()) == 1


def test_a_stale_socket_is_replaced(home: Any, connect: Connect) -> None:
    rendezvous.listen_at(home.socket).close()
    with connect() as client:
        assert client.ping() >= 0


def test_what_it_leaves_on_disk_is_ours_alone(home: Any, connect: Connect) -> None:
    with connect():
        for name in ("s", "s.lock", "log"):
            assert stat.S_IMODE((home.folder / name).stat().st_mode) == 0o600, name
        assert {path.name for path in home.folder.iterdir()} <= {"s", "s.lock", "log", "data"}


def test_the_daemon_outlives_the_terminal_and_has_none_of_our_files(
    home: Any, connect: Connect, tmp_path: Path
) -> None:
    with (tmp_path / "ours").open("w") as ours, connect() as client:
        os.set_inheritable(ours.fileno(), False)
        pid = client.hello.pid
        assert os.getsid(pid) == pid
        opened = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}  # noqa: PTH115 - sockets are no paths
        assert str(tmp_path / "ours") not in opened
        assert str(home.log) in opened


def test_a_second_shutdown_finds_nobody(home: Any, connect: Connect) -> None:
    with connect() as client:
        client.shutdown()
    home.wait_for_end()
    with pytest.raises(errors.Unreachable, match="start one"):
        connect(autostart=False)


def test_shutdown_lets_speech_end(home: Any, connect: Connect) -> None:
    del home
    with connect() as client, connect() as other:
        utterance = client.say("One two three four five six seven.", pace="realtime")
        assert utterance.started
        asking = threading.Thread(target=other.shutdown)
        asking.start()
        with pytest.raises(errors.ShuttingDown):
            while client.say("Two.").result:
                pass  # until the daemon has heard of it
        assert utterance.result.kind == "finished"
        asking.join(30)


def test_shutdown_without_draining_stops_it(home: Any, connect: Connect) -> None:
    del home
    with connect() as client, connect() as other:
        utterance = client.say("One two three four five. " * 20, pace="realtime")
        assert utterance.started
        other.shutdown(drain=False)
        assert utterance.result.kind == "stopped"


def test_a_daemon_that_is_killed_while_speaking(home: Any, connect: Connect) -> None:
    with connect() as client:
        utterance = client.say("One two three four five. " * 20, pace="realtime")
        frames = iter(utterance)
        next(frames)
        home.kill()
        with pytest.raises(errors.Unreachable):
            list(frames)
        with pytest.raises(errors.Unreachable):
            client.ping()
    with connect() as client:
        assert client.say("One.").result.kind == "finished"


def test_a_daemon_that_is_killed_before_the_first_sound(home: Any, connect: Connect) -> None:
    """What was heard is lost, a question is lost, the rest is said to the next daemon."""
    with connect() as client:
        whole = b"".join(client.say("One two. Three."))
        heard = client.say("One two three. " * 40, pace="realtime")
        frames = iter(heard)
        next(frames)
        unheard = client.say("One two. Three.", instruct="slow_ms=300")
        streamed = client.say("One", final=False)
        streamed.write(" two.")
        assert unheard.started
        first = client.hello.pid
        home.kill()
        streamed.end(" Three.")
        assert b"".join(unheard) == whole
        assert [mark.start for mark in unheard.marks] == [0, 9]
        assert unheard.result.samples == 3 * 4800
        assert b"".join(streamed) == whole
        with pytest.raises(errors.Unreachable, match="closed"):
            list(frames)
        assert client.hello.pid != first
        assert client.ping() >= 0


def test_it_is_said_again_once(home: Any, connect: Connect) -> None:
    with connect() as client:
        client.ping()
        utterance = client.say("One.", instruct="slow_ms=60000")
        killed = set()
        for _ in range(2):  # the second time the connection's loss is told
            killed.add(_speaking_daemon())
            home.kill()
            with suppress(errors.Unreachable):
                client.ping()
        assert len(killed) == 2
        with pytest.raises(errors.Unreachable, match="closed"):
            list(utterance)


def _speaking_daemon() -> int:
    """The pid of the daemon, as soon as it speaks."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(errors.Unreachable), cosyd.connect(autostart=False) as client:
            if client.status()["utterances"]["active"]:
                return client.hello.pid
        time.sleep(0.02)  # another process's state gives no event
    raise AssertionError("nobody speaks")


def test_the_path_can_be_given(home: Any, connect: Connect, tmp_path: Path) -> None:
    del tmp_path
    with connect(str(home.folder / "t")) as client:
        assert client.status()["socket"] == str(home.folder / "t")
        client.shutdown()


def test_daemons_that_ended_leave_no_zombies(home: Any, connect: Connect) -> None:
    for _ in range(3):
        with connect() as client:
            pid = client.hello.pid
            assert pid in autostart._children
            client.shutdown()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(errors.Unreachable):
        connect(autostart=False)
    assert autostart._children == set()
    assert home.daemons() == []
