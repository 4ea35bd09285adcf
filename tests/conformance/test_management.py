"""Everything that is not speech: ping, status, voices, models, and `ref`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.plain_client import Message, Peer, drops, frame, pack, still_speaks
from tests.conformance.running import Running, until

NUMBER = (int, float)
STATUS: dict[str, Any] = {
    "pid": int,
    "uptime_s": NUMBER,
    "version": str,
    "socket": str,
    "activation": str,
    "idle_timeout_s": NUMBER,
    "idle_exit_in_s": (*NUMBER, type(None)),
    "connections": int,
    "utterances": dict,
    "errors": dict,
    "ttfa_ms": dict,
    "rtf": dict,
    "rss_bytes": int,
    "models": list,
}
MODEL: dict[str, Any] = {
    "model": str,
    "engine": str,
    "state": str,
    "pid": int,
    "device": str,
    "loaded_s": NUMBER,
    "idle_s": (*NUMBER, type(None)),
    "expires_in_s": (*NUMBER, type(None)),
    "users": int,
    "rss_bytes": int,
    "vram_bytes": (int, type(None)),
    "restarts": int,
}
VOICE: dict[str, Any] = {
    "name": str,
    "model": str,
    "engine": str,
    "languages": list,
    "sample_rate": int,
    "description": str,
    "capabilities": list,
    "installed": bool,
    "license": str,
    "prompts": list,
}
CAPABILITIES = {
    "streaming", "zero_shot", "cross_lingual", "instruct", "text_streaming", "speed"
}  # fmt: skip
REFS: list[Any] = [0, -1, "ref", b"ref", 1.5, True, [1, [2]], {"a": {"b": None}}]


def has(fields: dict[str, Any], message: Message) -> None:
    """Every field is there with its type."""
    for name, types in fields.items():
        assert isinstance(message[name], types), (name, message[name])


def model(peer: Peer, name: str = "tone") -> Message:
    """The model's entry in the status, empty if it is not resident."""
    return next((m for m in peer.status()["models"] if m["model"] == name), {})


@pytest.mark.parametrize("nonce", [None, 0, -1, 1.5, "x", b"x", [1, 2], {"a": 1}, True, 2**64 - 1])
def test_a_pong_has_the_nonce_of_its_ping(peer: Peer, nonce: object) -> None:
    assert peer.ask({"type": "ping", "nonce": nonce}) == {"type": "pong", "nonce": nonce}


def test_a_nonce_is_at_most_256_bytes_packed(peer: Peer) -> None:
    for most in (b"x" * 254, "x" * 254, [0] * 253):  # headers of two, two and three bytes
        assert peer.ask({"type": "ping", "nonce": most})["nonce"] == most
    for more in (b"x" * 255, "x" * 255, [0] * 254, b"x" * 2_000_000):
        answer = peer.ask({"type": "ping", "nonce": more})
        assert (answer["type"], answer["code"]) == ("error", "bad_request")
        assert "nonce" in answer["message"]
    still_speaks(peer)


def test_status_holds_all_it_should(peer: Peer, daemon: Running) -> None:
    still_speaks(peer)
    status = peer.status()
    has(STATUS, status)
    assert status["pid"] == daemon.process.pid
    assert status["socket"] == daemon.path
    assert status["activation"] == "self"
    assert status["idle_exit_in_s"] is None
    assert status["connections"] == 1
    names = {"active", "queued", "total", "finished", "stopped", "failed", "cold", "warm"}
    assert names <= set(status["utterances"])
    assert all(isinstance(status["utterances"][name], int) for name in names)
    for name in ("ttfa_ms", "rtf"):
        has({"count": int, "p50": NUMBER, "p95": NUMBER, "p99": NUMBER}, status[name])
        assert status[name]["p50"] <= status[name]["p95"] <= status[name]["p99"]
    assert 0 < status["rss_bytes"] < 1 << 30
    entry = model(peer)
    has(MODEL, entry)
    assert entry["state"] == "ready"
    assert entry["users"] == 0
    assert entry["idle_s"] <= entry["loaded_s"]


def test_status_counts(peer: Peer, other: Peer) -> None:
    before = peer.status()
    still_speaks(peer)
    assert peer.speak("One.", voice="nobody").end["type"] == "failed"
    assert peer.ask({"type": "sing"})["type"] == "error"
    id = peer.say("One. " * 40, instruct="slow_ms=20")
    waiting = [peer.say("One.", channel="c", instruct="slow_ms=20") for _ in range(2)]
    peer.until("audio", id=id)
    busy = other.status()
    assert busy["connections"] == 2
    assert busy["utterances"]["active"] >= 1
    assert model(other)["state"] == "speaking"
    assert model(other)["users"] >= 1
    peer.send({"type": "stop"})
    for stopped in (id, *waiting):
        peer.hear(stopped)
    after = peer.status()
    change = {k: v - before["utterances"][k] for k, v in after["utterances"].items()}
    assert change["total"] == 5
    assert change["active"] == change["queued"] == 0
    assert change["failed"] == 1
    assert change["finished"] + change["stopped"] == 4
    for code in ("voice_not_found", "unknown_type"):
        assert after["errors"][code] == before["errors"].get(code, 0) + 1


def test_voices(peer: Peer) -> None:
    voices = peer.ask({"type": "voices"})["voices"]
    for voice in voices:
        has(VOICE, voice)
        assert set(voice["capabilities"]) <= CAPABILITIES
        assert all(isinstance(language, str) for language in voice["languages"])
    names = [voice["name"] for voice in voices]
    assert len(names) == len(set(names))
    assert {"tone", "tone-broken", "tone-dead"} <= set(names)
    (tone,) = (voice for voice in voices if voice["name"] == "tone")
    assert (tone["model"], tone["engine"], tone["sample_rate"]) == ("tone", "tone", 24000)
    assert tone["installed"] is True


def unloaded(peer: Peer) -> None:
    """Make sure that the tone model is not resident."""
    assert peer.ask({"type": "unload"})["type"] == "unloaded"
    until(lambda: model(peer) == {}, "the model is unloaded")


def test_load_and_unload(peer: Peer) -> None:
    unloaded(peer)
    for by in ({"voice": "tone"}, {"model": "tone"}):
        loaded = peer.ask({"type": "load", **by})
        assert (loaded["type"], loaded["model"]) == ("loaded", "tone")
        assert loaded["load_ms"] >= 0
        assert model(peer)["state"] == "ready"
        assert not peer.speak("One.").started["cold"]
    pid = model(peer)["pid"]
    assert peer.ask({"type": "unload", "model": "tone"})["models"] == ["tone"]
    until(lambda: model(peer) == {}, "the model is unloaded")
    assert peer.ask({"type": "unload"})["models"] == []
    assert peer.speak("One.").started["cold"]
    assert model(peer)["pid"] != pid
    assert peer.ask({"type": "unload"})["models"] == ["tone"]


def test_a_model_that_speaks_is_not_unloaded(peer: Peer, other: Peer) -> None:
    id = peer.say("One. " * 40, instruct="slow_ms=20")
    peer.until("audio", id=id)
    answer = other.ask({"type": "unload", "model": "tone"})
    assert (answer["type"], answer["code"]) == ("error", "busy")
    assert other.ask({"type": "unload"})["models"] == []
    peer.send({"type": "stop"})
    peer.hear(id)


def test_load_and_unload_refuse_what_they_do_not_know(peer: Peer) -> None:
    cases: list[tuple[Message, str]] = [
        ({"type": "load"}, "bad_request"),
        ({"type": "load", "voice": 1}, "bad_request"),
        ({"type": "load", "model": b"tone"}, "bad_request"),
        ({"type": "load", "voice": "nobody"}, "voice_not_found"),
        ({"type": "load", "model": "nothing"}, "model_not_found"),
        ({"type": "load", "voice": "x" * 200}, "voice_not_found"),
        ({"type": "load", "model": "x" * 200}, "model_not_found"),
        ({"type": "load", "voice": "x" * 2_000_000}, "bad_request"),
        ({"type": "unload", "model": "x" * 2_000_000}, "bad_request"),
        ({"type": "load", "voice": "tone-broken"}, "model_load_failed"),
        ({"type": "unload", "model": "nothing"}, "model_not_found"),
        ({"type": "unload", "model": 1}, "bad_request"),
    ]
    for message, code in cases:
        answer = peer.ask(message)
        assert (answer["type"], answer["code"]) == ("error", code), str(message)[:80]
    still_speaks(peer)


def test_load_waits_until_the_model_is_there(peer: Peer) -> None:
    still_speaks(peer)
    restarts = model(peer)["restarts"]
    unloaded(peer)
    peer.send({"type": "load", "voice": "tone"}, {"type": "load", "model": "tone"})
    assert [peer.next()["type"], peer.next()["type"]] == ["loaded", "loaded"]
    assert model(peer)["restarts"] == restarts


def test_an_answer_to_a_connection_that_broke_harms_nobody(peer: Peer, other: Peer) -> None:
    still_speaks(other)
    restarts = model(other)["restarts"]
    unloaded(other)
    peer.write(pack({"type": "load", "voice": "tone"}) + frame(b"\xc1"))
    drops(peer, "protocol")
    until(lambda: model(other).get("state") == "ready", "the model is loaded")
    still_speaks(other)
    assert model(other)["restarts"] == restarts


@pytest.mark.parametrize("ref", REFS)
def test_a_ref_comes_back(peer: Peer, ref: object) -> None:
    for message, kind in (
        ({"type": "status"}, "status"),
        ({"type": "voices"}, "voices"),
        ({"type": "load", "voice": "tone"}, "loaded"),
        ({"type": "load", "voice": "nobody"}, "error"),
        ({"type": "load", "voice": 7}, "error"),
        ({"type": "unload", "model": "nothing"}, "error"),
        ({"type": "unload", "model": "tone"}, "unloaded"),
        ({"type": "add_voice", "name": "x", "audio": b"", "text": ""}, "error"),
        ({"type": "add_voice"}, "error"),
        ({"type": "remove_voice", "name": "nobody"}, "error"),
        ({"type": "remove_voice", "name": 7}, "error"),
        ({"type": "shutdown", "drain": 7}, "error"),
    ):
        answer = peer.ask({**message, "ref": ref})
        assert (answer["type"], answer["ref"]) == (kind, ref), message


def test_a_ref_that_would_not_fit_into_the_answer(peer: Peer) -> None:
    """No answer may be over 1 MiB, which every peer checks as it reads."""
    for message in ({"type": "status"}, {"type": "sing"}, {"type": "remove_voice"}):
        answer = peer.ask({**message, "ref": b"x" * 2_000_000})
        assert (answer["type"], answer["code"]) == ("error", "bad_request")
        assert "ref" not in answer
    still_speaks(peer)


def test_keep_alive(peer: Peer) -> None:
    unloaded(peer)
    assert peer.speak("One.", keep_alive=1000).started["cold"]
    assert 900 < model(peer)["expires_in_s"] <= 1000
    assert not peer.speak("One.", keep_alive=-1).started["cold"]
    assert model(peer)["state"] == "ready"
    assert model(peer)["expires_in_s"] is None  # never
    assert not peer.speak("One.", keep_alive=0).started["cold"]
    until(lambda: model(peer) == {}, "a model with keep_alive 0 is unloaded right after")
    assert peer.speak("One.", keep_alive=0.05).started["cold"]
    until(lambda: model(peer) == {}, "a model is unloaded when its time is over")


def test_an_unload_between_two_utterances_harms_neither(
    connect: Callable[[], Peer],
) -> None:
    speaker, unloader = connect(), connect()
    for _ in range(5):
        id = speaker.say("One.", keep_alive=0)
        unloader.send({"type": "unload"})
        assert speaker.hear(id).end["type"] == "finished"
        assert unloader.until("unloaded")["models"] in ([], ["tone"])
