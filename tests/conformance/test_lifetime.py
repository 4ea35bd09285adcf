"""From the first bind to the last bye: places, refusals, shutdown."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.plain_client import GUARD_S, Message, Peer, still_speaks
from tests.conformance.running import Running, until

TEXT = "One. Two. Three. Four. Five. Six."
INTRUDER = """
import os, socket, struct, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
try:
    s.sendall(struct.pack(">I", 11) + b"\\x81\\xa4type\\xa4ping")
except OSError:
    pass
data = b""
try:
    while piece := s.recv(4096):
        data += piece
except ConnectionResetError:
    pass
sys.stdout.write(data.hex())
"""


def modes(path: str) -> tuple[int, int]:
    """Of the directory and the socket."""
    socket = Path(path)
    return stat.S_IMODE(socket.parent.stat().st_mode), stat.S_IMODE(socket.stat().st_mode)


@pytest.mark.skipif(sys.platform != "linux", reason="the default place is the platform's own")
def test_the_default_place() -> None:
    running = Running(arguments=[])
    try:
        path = str(running.home / "cosyd" / "cosyd.sock")
        peer = Peer(running.ready(path).path)
        assert modes(path) == (0o700, 0o600)
        assert peer.status()["socket"] == path
        peer.close()
    finally:
        running.kill()


def test_the_place_from_the_environment() -> None:
    home = Running.fresh_home()
    path = str(home / "by" / "env")
    running = Running({"COSYD_SOCKET": path}, arguments=[])
    try:
        with closing(Peer(running.ready(path).path)) as peer:
            still_speaks(peer)
        assert modes(path) == (0o700, 0o600)
    finally:
        running.kill()
        shutil.rmtree(home)


def test_a_path_that_is_too_long_is_refused_before_binding() -> None:
    home = Running.fresh_home()
    path = str(home / ("x" * (108 - len(str(home)) - 1)))
    assert len(path) == 108
    running = Running(arguments=["--socket", path])
    try:
        assert running.process.wait(GUARD_S) not in (0, None)
        (line,) = running.log.read_text().splitlines()
        assert path in line
        assert "107 bytes" in line
        assert not list(home.iterdir())
    finally:
        running.kill()
        shutil.rmtree(home)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_somebody_else_is_refused(daemon: Running, connect: Callable[[], Peer]) -> None:
    socket = Path(daemon.path)
    parents = (socket.parent, daemon.home)
    try:  # the modes already keep others out: let them in as far as the daemon's own check
        socket.chmod(0o666)
        for parent in parents:
            parent.chmod(0o711)
        result = subprocess.run(
            [sys.executable, "-I", "-c", INTRUDER, daemon.path],
            capture_output=True,
            timeout=GUARD_S,
        )
    finally:
        socket.chmod(0o600)
        for parent in parents:
            parent.chmod(0o700)
    answer = bytes.fromhex(result.stdout.decode())
    assert b"forbidden" in answer, result.stderr
    assert b"pong" not in answer
    still_speaks(connect())


def begun(peer: Peer) -> int:
    """An utterance in the middle of its audio."""
    id = peer.say(TEXT, instruct="slow_ms=100")
    peer.until("audio", id=id)
    return id


@pytest.mark.parametrize("fields", [{}, {"drain": True}, {"drain": None}])
def test_shutdown_lets_what_is_being_said_finish(
    start: Callable[..., Running], fields: Message
) -> None:
    daemon = start()
    speaker, asker, late = (Peer(daemon.path) for _ in range(3))
    id = begun(speaker)
    asker.send({"type": "shutdown", "ref": "r", **fields})
    until(lambda: late.speak("Late.").end["type"] == "failed", "new speech is refused")
    end = late.speak("Late.").end
    assert (end["code"], end["retryable"]) == ("shutting_down", True)
    late.send({"type": "load", "voice": "tone"})
    assert late.until("error", "loaded")["type"] in ("error", "loaded")
    assert speaker.hear(id).end["type"] == "finished"
    assert asker.rest() == [{"type": "bye", "ref": "r"}]
    assert {message["type"] for message in speaker.rest()} <= {"bye"}
    assert {message["type"] for message in late.rest()} <= {"bye"}
    assert daemon.process.wait(GUARD_S) == 0
    assert not Path(daemon.path).exists()
    until(lambda: not daemon.processes(), "the workers end")


def test_shutdown_at_once(start: Callable[..., Running]) -> None:
    daemon = start()
    speaker, asker = Peer(daemon.path), Peer(daemon.path)
    id = speaker.say("One. " * 900, instruct="slow_ms=100")
    speaker.until("audio", id=id)
    asker.send({"type": "shutdown", "drain": False})
    assert asker.rest() == [{"type": "bye"}]
    ends = [m for m in speaker.rest() if m["type"] in ("finished", "stopped", "failed")]
    assert [(m["id"], m["type"]) for m in ends] in ([], [(id, "stopped")], [(id, "failed")])
    assert daemon.process.wait(GUARD_S) == 0
    until(lambda: not daemon.processes(), "the workers end")


def test_shutdown_at_once_does_not_wait_for_a_hanging_step(start: Callable[..., Running]) -> None:
    daemon = start()
    peer = Peer(daemon.path)
    for knobs in ("hang_after=1", "hang_after=1"):
        id = peer.say(TEXT, instruct=knobs)
    peer.until("audio")
    peer.send({"type": "shutdown", "drain": False})
    kinds = [message["type"] for message in peer.rest()]
    assert kinds[-1] == "bye"
    assert id
    assert daemon.process.wait(GUARD_S) == 0
    until(lambda: not daemon.processes(), "the workers end")


def test_a_second_shutdown_that_does_not_drain_ends_the_draining(
    start: Callable[..., Running],
) -> None:
    daemon = start()
    peer = Peer(daemon.path)
    peer.say("One. " * 900, instruct="slow_ms=100")
    peer.until("audio")
    peer.send({"type": "shutdown"}, {"type": "shutdown", "drain": False})
    assert peer.rest()[-1]["type"] == "bye"
    assert daemon.process.wait(GUARD_S) == 0


def test_an_idle_daemon_ends_itself(start: Callable[..., Running]) -> None:
    daemon = start(COSYD_IDLE_TIMEOUT="0.5", COSYD_KEEP_ALIVE="0")
    with closing(Peer(daemon.path)) as peer:
        still_speaks(peer)
        assert peer.status()["idle_timeout_s"] == 0.5
        peer.speak("aaa " * 7, pace="realtime")  # busy for longer than the timeout
        assert daemon.process.poll() is None
    assert daemon.process.wait(GUARD_S) == 0
    assert not Path(daemon.path).exists()
    assert not daemon.processes()


def test_an_engine_that_is_not_installed(start: Callable[..., Running], tmp_path: Path) -> None:
    pack = tmp_path / "ghost" / "ghost"
    pack.mkdir(parents=True)
    (pack / "metadata.yaml").write_text(
        "name: ghost\nfamily: ghost\nmodel_id: ghost\nlanguages: [en]\ncapabilities: []\n"
        "audio: {sample_rate: 24000}\nlicense: MIT\n"
    )
    broken = tmp_path / "ghost" / "broken"
    broken.mkdir()
    (broken / "metadata.yaml").write_text("name: [\n")
    packs = f"{tmp_path}:{Path(__file__).parents[1] / 'voicepacks'}"
    daemon = start(COSYD_VOICEPACKS=packs)
    with closing(Peer(daemon.path)) as peer:
        voices = {v["name"]: v for v in peer.ask({"type": "voices"})["voices"]}
        assert voices["ghost"]["installed"] is False
        end = peer.speak("One.", voice="ghost").end
        assert (end["type"], end["code"]) == ("failed", "engine_not_installed")
        still_speaks(peer)
