"""The whole life under a real systemd: listened for, started, idle, frozen, killed, reloaded."""

from __future__ import annotations

import os
import random
import signal
import socket as sockets
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import cosyd
from tests.conformance.running import until
from tests.service.conftest import Login

ROUNDS = 300


@pytest.fixture
def installed(login: Login) -> Iterator[Login]:
    """Units as `cosy install` makes them; what a test changed is changed back."""
    login.install()
    yield login
    login.settle(60.0)


def asleep(login: Login) -> bool:
    return login.show("cosyd.service", "ActiveState") == "inactive"


def test_from_the_first_request_to_idleness_and_again(installed: Login) -> None:
    installed.settle(0.3)
    assert asleep(installed)
    pids = []
    for _ in range(2):
        with cosyd.connect() as client:
            assert client.say("One.").result.kind == "finished"
            status = client.status()
            assert (status["activation"], status["socket"]) == ("systemd", installed.socket)
            pids.append(status["pid"])
            assert installed.pid() == status["pid"]
        until(lambda: asleep(installed), "the daemon ends when idle")
        assert Path(installed.socket).is_socket()
        assert installed.show("cosyd.service", "Result") == "success"
    assert pids[0] != pids[1]


@pytest.mark.timeout(400)
def test_nobody_is_lost_who_comes_while_it_ends(installed: Login) -> None:
    """Half of them through the library; half through plain connections, which try nothing again."""
    installed.settle(0.0)
    moments = random.Random(1)
    pids = set()
    for number in range(ROUNDS):
        time.sleep(moments.choice((0.0, moments.uniform(0.0, 0.03))))
        if number % 2:
            with cosyd.connect() as client:
                pids.add(client.hello.pid)
            continue
        with sockets.socket(sockets.AF_UNIX) as plain:
            plain.settimeout(60)
            plain.connect(installed.socket)
            plain.sendall(PING)
            assert plain.recv(4), "a connection was lost"
    assert len(pids) > ROUNDS // 6  # it did end in between


PING = b"\0\0\0\x0b\x81\xa4type\xa4ping"


def test_a_frozen_daemon_is_replaced(installed: Login) -> None:
    installed.settle(60.0, "WatchdogSec=1")
    with cosyd.connect() as client:
        frozen = client.hello.pid
        os.kill(frozen, signal.SIGSTOP)
        with cosyd.connect() as other:
            assert other.hello.pid != frozen
            assert other.say("One.").result.kind == "finished"
    assert installed.show("cosyd.service", "NRestarts") == "1"


def test_a_killed_daemon_is_replaced_and_nothing_of_it_is_left(installed: Login) -> None:
    with cosyd.connect() as client:
        assert client.say("One.").result
        (worker,) = [model["pid"] for model in client.status()["models"]]
        os.kill(client.hello.pid, signal.SIGKILL)
        with cosyd.connect() as other:
            assert other.say("One.").result.kind == "finished"
            assert other.hello.pid == installed.pid()
    until(lambda: not Path(f"/proc/{worker}").exists(), "the worker ends with its daemon")


def test_a_stop_lets_speech_end_and_keeps_the_socket(installed: Login) -> None:
    with cosyd.connect() as client:
        utterance = client.say("One two three four five six seven.", pace="realtime")
        assert utterance.started
        stopping = threading.Thread(target=installed.systemctl, args=("stop", "cosyd.service"))
        stopping.start()
        assert utterance.result.kind == "finished"
        stopping.join(60)
    assert asleep(installed)
    with cosyd.connect() as client:
        assert client.ping() >= 0


def test_systemd_is_told_what_goes_on_and_nothing_of_what_is_said(installed: Login) -> None:
    text = "Mellifluous aardvarks. " * 40
    with cosyd.connect() as client:
        assert client.ping() >= 0
        until(lambda: installed.show("cosyd.service", "StatusText") == "idle", "it is told")
        assert installed.show("cosyd.service", "NotifyAccess") == "main"
        utterance = client.say(text, pace="realtime")
        assert utterance.started
        until(lambda: "speaking 1" in installed.show("cosyd.service", "StatusText"), "it is told")
        assert "tone" in installed.show("cosyd.service", "StatusText")
        utterance.stop()
        until(lambda: "speaking" not in installed.show("cosyd.service", "StatusText"), "it is told")
    assert "ardvark" not in installed.log.read_text()


def test_settings_are_read_again_and_wrong_ones_are_not_taken(installed: Login) -> None:
    file = installed.home / ".config" / "cosyd" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    installed.settle(60.0, "UnsetEnvironment=COSYD_LOG_LEVEL")
    try:
        with cosyd.connect() as client:
            utterance = client.say("One two three four five six seven.", pace="realtime")
            assert utterance.started
            file.write_text('log_level = "debug"\n')
            assert installed.cosy("daemon", "reload")[0] == 0
            file.write_text('log_lvel = "debug"\n')
            code, _, complaint = installed.cosy("daemon", "reload")
            assert code == 1
            assert "log_lvel" in complaint
            installed.systemctl("reload", "cosyd.service")
            until(lambda: "settings not reloaded" in installed.log.read_text(), "it is logged")
            assert utterance.result.kind == "finished"
            assert installed.pid() == client.hello.pid
            assert installed.show("cosyd.service", "ActiveState") == "active"
    finally:
        file.unlink()
    assert "settings reloaded" in installed.log.read_text()


def test_cosy_daemon_asks_systemd(installed: Login) -> None:
    assert installed.cosy("daemon", "status")[0] == 3
    assert "not running" in installed.cosy("daemon", "stop")[1]
    assert "not running" in installed.cosy("status")[1]
    assert asleep(installed)  # none of them has started it
    code, told, complaint = installed.cosy("daemon", "start")
    assert (code, complaint) == (0, "")
    first = installed.pid()
    assert str(first) in told
    assert installed.cosy("daemon", "status")[0] == 0
    assert installed.cosy("daemon", "restart")[0] == 0
    assert installed.pid() not in (0, first)
    code, told, _ = installed.cosy("daemon", "stop")
    assert code == 0
    assert "Stopped cosyd." in told
    assert "systemd still listens" in told
    assert asleep(installed)
    assert installed.cosy("daemon", "restart", "--now")[0] == 0
    assert installed.cosy("daemon", "stop", "--now")[0] == 0
    until(lambda: asleep(installed), "it ends")


def test_a_client_wakes_systemds_socket_and_starts_nothing_itself(installed: Login) -> None:
    installed.systemctl("stop", "cosyd.socket", "cosyd.service")
    with cosyd.connect() as client:
        assert client.status()["activation"] == "systemd"
    inode = Path(installed.socket).stat().st_ino
    installed.systemctl("stop", "cosyd.service")
    done = installed.run(sys.executable, "-m", "cosyd.daemon")
    assert done.returncode == 1
    assert "runs at" in done.stderr
    assert Path(installed.socket).stat().st_ino == inode


def test_an_idle_time_that_systemd_would_punish_is_raised(installed: Login) -> None:
    start = f"ExecStart=\nExecStart={sys.executable} -P -m cosyd.daemon"
    installed.settle(0.0, f"{start}\nEnvironment=COSYD_IDLE_TIMEOUT=5")
    with cosyd.connect() as client:
        assert client.status()["idle_timeout_s"] == 60.0
    assert "idle timeout raised" in installed.log.read_text()


def test_when_systemd_gives_up_clients_start_the_daemon(installed: Login) -> None:
    installed.settle(60.0, "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=1")
    with cosyd.connect() as client:
        assert client.status()["activation"] == "systemd"
    installed.systemctl("stop", "cosyd.service")
    with cosyd.connect() as client:
        assert client.status()["activation"] == "self"
        assert client.ping() >= 0
        client.shutdown()
    assert installed.show("cosyd.socket", "ActiveState") == "failed"
    assert installed.cosy("daemon", "start")[0] == 0
    assert installed.pid() != 0
    with cosyd.connect() as client:
        assert client.status()["activation"] == "systemd"
