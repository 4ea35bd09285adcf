"""When no daemon can be reached or started: clear words, and nothing is broken."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cosyd
from cosyd import errors, rendezvous
from cosyd.client import autostart
from cosyd.client.autostart import Dialler
from cosyd.paths import SOCKET_PATH_MAX

Connect = Callable[..., cosyd.Client]


def test_without_autostart_nothing_is_started_or_made(home: Any, connect: Connect) -> None:
    with pytest.raises(errors.Unreachable, match="start one with `cosyd`"):
        connect(autostart=False)
    assert list(home.folder.iterdir()) == []


def test_a_path_that_is_too_long(connect: Connect) -> None:
    path = "/tmp/" + "x" * (SOCKET_PATH_MAX - 4)
    with pytest.raises(errors.Unreachable, match="COSYD_SOCKET"):
        connect(path)


def test_a_directory_that_others_can_look_into(home: Any, connect: Connect) -> None:
    home.folder.chmod(0o755)
    with pytest.raises(errors.Forbidden, match="chmod 700"):
        connect()
    assert list(home.folder.iterdir()) == []


def test_our_own_directory_is_made_and_mended(home: Any, connect: Connect) -> None:
    for before in (None, 0o755):
        folder = home.folder / "deep" / "cosyd"
        if before:
            folder.chmod(before)
        with connect(str(folder / "s")) as client:
            assert client.ping() >= 0
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            client.shutdown()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else(home: Any, connect: Connect) -> None:
    os.chown(home.folder, 12345, 12345)
    try:
        with pytest.raises(errors.Forbidden, match="belongs to somebody else"):
            connect()
    finally:
        os.chown(home.folder, 0, 0)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a socket away")
def test_a_stale_socket_of_somebody_else(home: Any, connect: Connect) -> None:
    rendezvous.listen_at(home.socket).close()
    os.chown(home.socket, 12345, 12345)
    with pytest.raises(errors.Forbidden, match="belongs to somebody else"):
        connect()


def test_a_file_that_is_no_socket(home: Any, connect: Connect) -> None:
    Path(home.socket).write_text("precious")
    with pytest.raises(errors.Forbidden, match="no socket"):
        connect()
    assert Path(home.socket).read_text() == "precious"


def test_a_directory_that_cannot_be_made(home: Any, connect: Connect) -> None:
    (home.folder / "file").write_text("")
    with pytest.raises(errors.Unreachable, match="COSYD_SOCKET"):
        connect(str(home.folder / "file" / "s"))


def test_a_daemon_of_somebody_else(
    home: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autostart, "peer_uid", lambda _sock: 12345)
    with rendezvous.listen_at(home.socket), pytest.raises(errors.Forbidden, match="somebody else"):
        connect()


def test_a_daemon_that_ends_at_once(
    home: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        autostart, "_command", lambda: [sys.executable, "-c", "raise SystemExit(3)"]
    )
    with connect() as client, pytest.raises(errors.Unreachable, match=str(home.log)):
        client.ping()


def test_a_python_that_is_not_there(
    home: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(errors.Unreachable, match="cannot start"):
        connect()


def test_a_log_that_cannot_be_written_does_not_keep_it_from_speaking(
    home: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSYD_LOG_FILE", "/proc/nowhere/log")
    with connect() as client:
        assert client.say("One.").result.kind == "finished"
    del home


class Silent:
    """Listens and takes connections, as `answer` says."""

    def __init__(self, path: str, answers: list[bytes | None]) -> None:
        """For each connection: what to write before hanging up; None: nothing, and hold on."""
        self._listener = rendezvous.listen_at(path)
        self._answers = answers
        self._held: list[socket.socket] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._listener.accept()
            self.connections += 1
            connection.recv(65536)
            if answer is None:
                self._held.append(connection)
                continue
            connection.sendall(answer)
            connection.close()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)
        for connection in self._held:
            connection.close()


def test_a_daemon_that_says_nothing(home: Any, connect: Connect) -> None:
    daemon = Silent(home.socket, [None])
    with connect(timeout=0.3) as client, pytest.raises(errors.Unreachable, match="did not answer"):
        client.ping()
    daemon.close()


def test_a_hang_up_before_the_first_byte_is_tried_again(home: Any, connect: Connect) -> None:
    pong = b"\x83\xa4type\xa4pong\xa5nonce\xc0\xa3ref\x02"
    daemon = Silent(home.socket, [b"", b"", len(pong).to_bytes(4, "big") + pong])
    with connect() as client:
        assert client.ping() >= 0
    assert daemon.connections == 3
    daemon.close()


def test_a_hang_up_after_the_first_byte_is_not(home: Any, connect: Connect) -> None:
    daemon = Silent(home.socket, [b"\0"])
    with connect() as client, pytest.raises(errors.Unreachable, match="closed"):
        client.ping()
    assert daemon.connections == 1
    daemon.close()


def test_hanging_up_again_and_again_has_an_end(home: Any, connect: Connect) -> None:
    daemon = Silent(home.socket, [b""] * autostart.ATTEMPTS)
    with connect() as client, pytest.raises(errors.Unreachable, match="as soon as it starts"):
        client.ping()
    assert daemon.connections == autostart.ATTEMPTS
    daemon.close()


def test_a_full_backlog_is_waited_for_and_then_given_up(home: Any) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(home.socket)
    listener.listen(0)
    dial = Dialler(home.socket, str(home.log), autostart=True, timeout=0.2)
    waiting = [dial()]
    with pytest.raises(errors.Unreachable, match="takes no connection"):
        waiting += [dial() for _ in range(8)]
    for sock in [*waiting, listener]:
        sock.close()


def test_a_lock_without_a_daemon_is_waited_for_and_then_given_up(home: Any) -> None:
    lock = rendezvous.own_lock(home.socket)
    assert lock is not None
    assert rendezvous.own_lock(home.socket) is None
    dial = Dialler(home.socket, str(home.log), autostart=True, timeout=0.1)
    with pytest.raises(errors.Unreachable, match="does not answer"):
        dial()
    os.close(lock)
