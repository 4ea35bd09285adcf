"""Sockets that a service manager passes: what is taken, what is refused, and what is left alone."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon import activation
from cosyd.daemon.activation import ActivationError
from tests.conformance.plain_client import GUARD_S, Peer
from tests.service.conftest import VOICEPACKS

ROUNDS = 40
STUB = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
/* What launchd's library does for a job with one socket named Listeners, at descriptor 3. */
int launch_activate_socket(const char *name, int **fds, size_t *count) {
    const char *answer = getenv("STUB_ANSWER");
    if (!answer) return ESRCH;
    if (atoi(answer)) return atoi(answer);
    if (strcmp(name, "Listeners")) return ENOENT;
    *fds = malloc(sizeof(int));
    **fds = 3;
    *count = 1;
    return 0;
}
"""
# Becomes the daemon: systemd tells the process by its number, so nothing may stand between.
START = """
import os, sys
listener, manager, *command = sys.argv[1:]
os.dup2(int(listener), 3)
if manager == "systemd":
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="cosyd")
os.execv(command[0], command)
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listens in a directory with a short name."""
    folder = tempfile.mkdtemp(prefix="cosya", dir="/tmp")
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(f"{folder}/s")
        found.listen(128)
        yield found
    shutil.rmtree(folder)


@given(
    pid=st.one_of(st.none(), st.text(), st.just("7")),
    count=st.one_of(st.none(), st.text(), st.just("0"), st.just("-1"), st.just("x")),
)
def test_what_is_not_for_us_is_not_taken(pid: str | None, count: str | None) -> None:
    told = {"OTHER": "x", "LISTEN_FDNAMES": "cosyd", "LISTEN_PID": pid, "LISTEN_FDS": count}
    env = {name: value for name, value in told.items() if value is not None}
    for_us = pid == "8" and (count or "").isdecimal() and int(count or 0) > 0
    assert for_us or activation.from_systemd(env, 8) is None
    assert for_us or env == {"OTHER": "x"}  # nor by a child of ours


def passed(monkeypatch: pytest.MonkeyPatch, *given: socket.socket, names: str = "") -> None:
    """As if `given` had been passed by systemd from `FIRST_FD` on."""
    first = max(each.fileno() for each in given) + 50
    for n, each in enumerate(given):
        os.dup2(each.fileno(), first + n)
    monkeypatch.setattr(activation, "FIRST_FD", first)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", str(len(given)))
    monkeypatch.setenv("LISTEN_FDNAMES", names)


def test_the_only_one_is_taken_whatever_its_name(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed(monkeypatch, listener, names="unknown")
    found = activation.from_systemd(os.environ, os.getpid())
    assert found is not None
    with found:
        assert activation.path_of(found) == listener.getsockname()
        assert not found.get_inheritable()
    assert "LISTEN_FDS" not in os.environ


def test_of_several_the_one_of_our_name_is_taken(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        passed(monkeypatch, other, listener, names="other:cosyd")
        found = activation.from_systemd(os.environ, os.getpid())
        assert found is not None
        with found:
            assert found.getsockname() == listener.getsockname()
        passed(monkeypatch, other, listener, names="other:another")
        with pytest.raises(ActivationError, match="0 sockets of ours"):
            activation.from_systemd(os.environ, os.getpid())


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_UNIX, socket.SOCK_STREAM),  # that does not listen
        (socket.AF_UNIX, socket.SOCK_DGRAM),
        (socket.AF_INET, socket.SOCK_STREAM),
    ],
)
def test_what_cannot_be_listened_on_is_refused(
    family: int, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(family, kind) as wrong:
        passed(monkeypatch, wrong)
        with pytest.raises(ActivationError, match="Accept=no"):
            activation.from_systemd(os.environ, os.getpid())


def test_what_is_no_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("rb") as file:
        passed(monkeypatch, file)  # type: ignore[arg-type] # a socket is what it is meant to be
        with pytest.raises(ActivationError, match="no socket"):
            activation.from_systemd(os.environ, os.getpid())


def started(
    listener: socket.socket, *words: str, manager: str = "systemd", **env: str
) -> subprocess.Popen[bytes]:
    """A daemon with `listener` as descriptor 3."""
    folder = Path(listener.getsockname()).parent
    settings = {
        "HOME": str(folder),
        "COSYD_CONFIG": "-",
        "COSYD_VOICEPACKS": str(VOICEPACKS),
        "COSYD_VOICE": "tone",
        "COSYD_DATA_DIR": str(folder / "data"),
        "PATH": os.environ["PATH"],
    }
    daemon = [sys.executable, "-P", "-m", "cosyd.daemon", *words]
    return subprocess.Popen(
        [sys.executable, "-c", START, str(listener.fileno()), manager, *daemon],
        pass_fds=[listener.fileno()],
        env={**settings, **env},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def ended(daemon: subprocess.Popen[bytes]) -> str:
    """Its log, after it has ended well."""
    _, log = daemon.communicate(timeout=GUARD_S)
    assert daemon.returncode == 0, log
    return log.decode()


def test_an_inherited_socket_outlives_the_daemon(listener: socket.socket) -> None:
    path = listener.getsockname()
    daemon = started(listener, "--idle-timeout", "0")
    peer = Peer(path)
    status = peer.status()
    assert (status["activation"], status["socket"]) == ("systemd", path)
    assert peer.speak("One.").end["type"] == "finished"
    peer.close()
    ended(daemon)
    with socket.socket(socket.AF_UNIX) as late:
        late.connect(path)  # neither shut nor unlinked: it waits for the next one
        again = started(listener, "--idle-timeout", "0")
        late.sendall(b"\0\0\0\x0b\x81\xa4type\xa4ping")
        late.settimeout(GUARD_S)
        assert late.recv(4)
    ended(again)


def test_no_connection_is_lost_while_it_ends(listener: socket.socket) -> None:
    path = listener.getsockname()
    moments = random.Random(2)
    daemon: subprocess.Popen[bytes] | None = None
    starts = 0
    for _ in range(ROUNDS):
        if daemon is None or daemon.poll() is not None:
            if daemon is not None:
                ended(daemon)
            daemon = started(listener, "--idle-timeout", "0")
            starts += 1
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(path)
            plain.sendall(b"\0\0\0\x0b\x81\xa4type\xa4ping")
            plain.settimeout(0.05)
            answer = b""
            while not answer:
                try:
                    answer = plain.recv(4)
                    assert answer, "a connection was lost"
                except TimeoutError:  # the daemon may have ended: then this is ours to do
                    if daemon.poll() is not None:
                        ended(daemon)
                        daemon = started(listener, "--idle-timeout", "0")
                        starts += 1
        time.sleep(moments.uniform(0.0, 0.03))
    assert daemon is not None
    ended(daemon)
    assert starts > ROUNDS // 4


def test_told_to_end_it_leaves_the_socket(listener: socket.socket) -> None:
    daemon = started(listener)
    with closing(Peer(listener.getsockname())) as peer:
        assert peer.status()["idle_exit_in_s"] is None
        daemon.terminate()
        ended(daemon)
    assert Path(listener.getsockname()).is_socket()


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that answers launch_activate_socket."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and LD_PRELOAD: apt-get install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("stub")
    (folder / "stub.c").write_text(STUB)
    library = folder / "stub.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(library), str(folder / "stub.c")], check=True
    )
    return str(library)


def test_launchds_socket_is_taken(listener: socket.socket, stub: str) -> None:
    daemon = started(
        listener,
        "--launchd",
        "--idle-timeout",
        "0",
        manager="launchd",
        LD_PRELOAD=stub,
        STUB_ANSWER="0",
    )
    peer = Peer(listener.getsockname())
    status = peer.status()
    assert (status["activation"], status["socket"]) == ("launchd", listener.getsockname())
    peer.close()
    ended(daemon)
    assert Path(listener.getsockname()).is_socket()


def test_an_idle_time_that_launchd_would_punish_is_raised(
    listener: socket.socket, stub: str
) -> None:
    daemon = started(
        listener,
        "--launchd",
        manager="launchd",
        LD_PRELOAD=stub,
        STUB_ANSWER="0",
        COSYD_IDLE_TIMEOUT="1",
    )
    with closing(Peer(listener.getsockname())) as peer:
        assert peer.status()["idle_timeout_s"] == 15.0
    daemon.terminate()
    assert "idle timeout raised" in ended(daemon)


@pytest.mark.parametrize("answer", ["2", "3"])
def test_a_process_that_launchd_did_not_start_listens_itself(
    listener: socket.socket, stub: str, answer: str
) -> None:
    own = f"{listener.getsockname()}2"
    daemon = started(
        listener,
        "--launchd",
        *("--socket", own, "--idle-timeout", "0"),
        manager="launchd",
        LD_PRELOAD=stub,
        STUB_ANSWER=answer,
    )
    log = ended(daemon)
    assert own in log
    assert not Path(own).exists()


def test_another_refusal_of_launchd_is_told(listener: socket.socket, stub: str) -> None:
    daemon = started(listener, "--launchd", manager="launchd", LD_PRELOAD=stub, STUB_ANSWER="37")
    _, log = daemon.communicate(timeout=GUARD_S)
    assert daemon.returncode == 1
    assert b"launchd passes no socket 'Listeners'" in log
