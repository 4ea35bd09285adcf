"""Engines that crash, hang, fail and compute nonsense: the utterance fails, the rest goes on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.plain_client import Peer, still_speaks
from tests.conformance.running import Running, until

TEXT = "One. Two. Three. Four."


def worker(peer: Peer) -> int:
    """The process of the tone model."""
    (pid,) = (m["pid"] for m in peer.status()["models"] if m["model"] == "tone")
    return int(pid)


def computed_ticks(pid: int) -> int:
    """CPU time that a process has used."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_crash_while_speaking(peer: Peer, other: Peer, after: int) -> None:
    end = peer.speak(TEXT, instruct=f"crash_after={after}").end
    assert (end["type"], end["code"], end["retryable"]) == ("failed", "engine_crashed", True)
    still_speaks(peer)
    still_speaks(other)


def test_a_crash_ends_all_that_the_process_was_speaking(peer: Peer, other: Peer) -> None:
    theirs = other.say("One. " * 40, instruct="slow_ms=10")
    other.until("audio", id=theirs)
    assert peer.speak(TEXT, instruct="crash_after=1").end["code"] == "engine_crashed"
    end = other.hear(theirs).end
    assert end["type"] == "finished" or end["code"] == "engine_crashed"
    still_speaks(peer)
    still_speaks(other)


def test_what_waited_for_a_crashed_process_is_spoken(peer: Peer) -> None:
    first = peer.say(TEXT, instruct="crash_after=1 slow_ms=20", channel="c")
    second = peer.say(TEXT, channel="c")
    assert peer.hear(first).end["code"] == "engine_crashed"
    assert peer.hear(second).end["type"] == "finished"


def test_crash_after_crash(peer: Peer) -> None:
    for _ in range(4):
        assert peer.speak(TEXT, instruct="crash_after=1").end["code"] == "engine_crashed"
    still_speaks(peer)


def test_a_process_that_is_killed(peer: Peer) -> None:
    still_speaks(peer)
    os.kill(worker(peer), signal.SIGKILL)
    end = peer.speak(TEXT).end  # whether the daemon knows already is a race
    assert end["type"] == "finished" or end["code"] == "engine_crashed"
    id = peer.say("One. " * 40, instruct="slow_ms=20")
    peer.until("audio", id=id)
    os.kill(worker(peer), signal.SIGKILL)
    assert peer.hear(id).end["code"] == "engine_crashed"
    still_speaks(peer)


@pytest.mark.parametrize("after", [0, 2])
def test_a_failure_is_one_utterance_s_own(peer: Peer, after: int) -> None:
    still_speaks(peer)
    pid = worker(peer)
    heard = peer.speak(TEXT, instruct=f"fail_after={after}")
    assert (heard.end["type"], heard.end["code"]) == ("failed", "internal")
    still_speaks(peer)
    assert worker(peer) == pid


@pytest.mark.parametrize("encoding", ["s16le", "f32le"])
@pytest.mark.parametrize("loudness", [-16.0, None])
def test_what_is_not_a_number_never_sounds(
    peer: Peer, encoding: str, loudness: float | None
) -> None:
    """The referee looks at every sample; the utterance must fail rather than go silent."""
    form = {"encoding": encoding, "loudness": loudness}
    heard = peer.speak(TEXT, instruct="nan_after=2", **form)
    assert (heard.end["type"], heard.end["code"]) == ("failed", "internal")
    still_speaks(peer)


def test_a_model_that_does_not_load(peer: Peer) -> None:
    for _ in range(2):
        end = peer.speak(TEXT, voice="tone-broken").end
        assert (end["type"], end["code"]) == ("failed", "model_load_failed")
        assert "tone.weights" in end["message"]  # the file
        assert "pitch" in end["message"]  # the tensor
    still_speaks(peer)


def test_a_process_that_dies_while_loading(peer: Peer) -> None:
    end = peer.speak(TEXT, voice="tone-dead").end
    assert end["type"] == "failed"
    assert end["code"] in ("model_load_failed", "engine_crashed")
    answer = peer.ask({"type": "load", "voice": "tone-dead", "ref": 1})
    assert (answer["type"], answer["code"], answer["ref"]) == ("error", end["code"], 1)
    still_speaks(peer)


def test_stop_while_the_model_loads(peer: Peer) -> None:
    for voice in ("tone-dead", "tone-broken"):
        id = peer.say(TEXT, voice=voice)
        peer.send({"type": "stop", "id": id})
        assert peer.hear(id).end["type"] in ("stopped", "failed")
    peer.send({"type": "unload"})
    id = peer.say(TEXT)
    peer.send({"type": "stop", "id": id})
    peer.until("unloaded")
    assert peer.hear(id).end["type"] in ("stopped", "finished")
    still_speaks(peer)


@pytest.mark.parametrize("after", [0, 1])
def test_stop_of_a_step_that_never_ends(peer: Peer, after: int) -> None:
    id = peer.say(TEXT, instruct=f"hang_after={after}")
    peer.until("audio" if after else "started", id=id)
    peer.send({"type": "stop", "id": id})
    assert peer.hear(id).end["type"] == "stopped"
    still_speaks(peer)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc to see it compute")
def test_a_step_that_does_not_halt_costs_its_process(peer: Peer) -> None:
    still_speaks(peer)
    pid = worker(peer)
    idle = computed_ticks(pid)
    id = peer.say(TEXT, instruct="busy_ms=60000")
    until(lambda: computed_ticks(pid) > idle + 5, "the step computes")
    peer.send({"type": "stop", "id": id})
    assert peer.hear(id).end["type"] == "stopped"
    still_speaks(peer)  # a minute before the step would end
    assert worker(peer) != pid


def test_a_process_that_stands_still(peer: Peer) -> None:
    id = peer.say("One. " * 40, instruct="slow_ms=20")
    peer.until("audio", id=id)
    os.kill(worker(peer), signal.SIGSTOP)
    peer.quiet()
    peer.send({"type": "stop", "id": id})
    assert peer.hear(id).end["type"] == "stopped"
    still_speaks(peer)


def test_no_progress_is_a_timeout(start: Callable[..., Running]) -> None:
    daemon = start(COSYD_ENGINE_TIMEOUT="1")
    peer, other = Peer(daemon.path), Peer(daemon.path)
    for after in (0, 1):
        end = peer.speak(TEXT, instruct=f"hang_after={after}").end
        assert (end["type"], end["code"], end["retryable"]) == ("failed", "engine_timeout", True)
        still_speaks(peer)
    still_speaks(other)
    # neither a pause nor waiting for text is the engine's fault
    paused = peer.say("One. " * 40, instruct="slow_ms=20")
    peer.until("audio", id=paused)
    peer.send({"type": "pause", "id": paused})
    peer.until("paused", id=paused)
    waiting = peer.say("One.", final=False)
    other.speak("aaa " * 16, pace="realtime")  # more than the timeout passes
    peer.send({"type": "resume", "id": paused})
    peer.send({"type": "text", "id": waiting, "text": " Two.", "final": True})
    assert peer.hear(paused).end["type"] == "finished"
    assert peer.hear(waiting).end["type"] == "finished"
    peer.close()
    other.close()


def test_messages_and_log_hold_no_traces_and_no_spoken_text(start: Callable[..., Running]) -> None:
    daemon = start()
    peer = Peer(daemon.path)
    for knobs in ("crash_after=1", "fail_after=1", "nan_after=0", "nonsense", "slow_ms=1"):
        peer.speak("Xylographic. Quokka.", instruct=knobs)
    peer.speak("Xylographic", voice="tone-broken")
    peer.speak("Xylographic", voice="nobody")
    peer.speak("Xylographic", speed=7)
    peer.speak("Xylographic " * 500)
    peer.send({"type": "stop", "id": peer.say("Xylographic", final=False)})
    peer.quiet()
    assert all("Xylographic" not in m.get("message", "") for m in peer.log)
    peer.close()
    log = daemon.log.read_text()
    assert log
    assert "xylographic" not in log.lower()
    assert "quokka" not in log.lower()
