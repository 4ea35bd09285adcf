"""Order of utterances, interruption, and speech that keeps the pace of the clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.conformance.plain_client import Message, Peer, still_speaks
from tests.conformance.running import until

SLOW = "slow_ms=20"
SOME = "One. Two. Three. Four. Five."


def order(peer: Peer, ids: list[int]) -> list[int]:
    """Hear all of `ids` and give the order in which they had audio, each once per stretch."""
    for id in ids:
        assert peer.hear(id).end["type"] == "finished"
    sounded = [m["id"] for m in peer.log if m["type"] == "audio" and m["id"] in ids]
    return [id for id, _ in itertools.groupby(sounded)]


def test_one_channel_is_one_after_another(peer: Peer) -> None:
    ids = [peer.say(SOME, channel="c", instruct=SLOW) for _ in range(4)]
    assert order(peer, ids) == ids


def test_higher_priority_goes_before_but_not_into(peer: Peer) -> None:
    first = peer.say(SOME, channel="c", instruct=SLOW)
    peer.until("audio", id=first)
    low, normal, high, second_high = (
        peer.say("One.", channel="c", priority=priority) for priority in (-10, 0, 10, 10)
    )
    ids = [first, low, normal, high, second_high]
    assert order(peer, ids) == [first, high, second_high, normal, low]


def test_a_channel_spans_connections(peer: Peer, other: Peer) -> None:
    first = peer.say(SOME, channel="shared", instruct=SLOW)
    peer.until("audio", id=first)
    peer.send({"type": "pause", "id": first})
    peer.until("paused", id=first)
    second = other.say("One.", channel="shared")
    assert other.quiet() == []
    assert other.status()["utterances"]["queued"] == 1
    peer.send({"type": "resume", "id": first})
    assert peer.hear(first).end["type"] == "finished"
    assert other.hear(second).end["type"] == "finished"


def test_channels_do_not_wait_for_each_other(peer: Peer) -> None:
    first = peer.say(SOME, channel="a", instruct=SLOW)
    peer.until("audio", id=first)
    peer.send({"type": "pause", "id": first})
    peer.until("paused", id=first)
    for channel in ("b", None):
        assert peer.speak("One.", channel=channel).end["type"] == "finished"
    peer.send({"type": "stop"})
    assert peer.hear(first).end["type"] == "stopped"


def test_interrupt_stops_those_of_its_channel_first(peer: Peer, other: Peer) -> None:
    speaking = peer.say(SOME, channel="c", instruct=SLOW)
    peer.until("audio", id=speaking)
    waiting = peer.say("One.", channel="c", priority=10)
    theirs = other.say("One.", channel="c")
    elsewhere = peer.say(SOME, channel="d", instruct=SLOW)
    free = peer.say(SOME, instruct=SLOW)
    other.quiet()
    new = peer.say("One two.", channel="c", interrupt=True, priority=-10)
    assert peer.hear(speaking).end["type"] == "stopped"
    assert peer.hear(waiting).end["type"] == "stopped"
    assert other.hear(theirs).end["type"] == "stopped"
    for id in (new, elsewhere, free):
        assert peer.hear(id).end["type"] == "finished"
    kinds = [(m["type"], m["id"]) for m in peer.log if m["type"] in ("stopped", "started")]
    assert kinds.index(("stopped", speaking)) < kinds.index(("started", new))
    still_speaks(peer)
    still_speaks(other)


def test_interrupt_of_an_empty_channel_just_speaks(peer: Peer) -> None:
    assert peer.speak("One.", channel="nobody", interrupt=True).end["type"] == "finished"
    going = peer.say(SOME, instruct=SLOW)
    assert peer.speak("One.", interrupt=True).end["type"] == "finished"
    assert peer.hear(going).end["type"] == "finished"


def test_a_say_that_is_wrong_interrupts_nobody(peer: Peer) -> None:
    going = peer.say(SOME, channel="c", instruct=SLOW)
    peer.until("audio", id=going)
    wrongs: list[Message] = [{"speed": 9}, {"voice": "nobody"}, {"text": "..."}]
    for wrong in wrongs:
        say: Message = {"text": "One.", "channel": "c", "interrupt": True, **wrong}
        assert peer.speak(**say).end["type"] == "failed"
    assert peer.hear(going).end["type"] == "finished"


def test_a_failure_lets_the_next_of_its_channel_speak(peer: Peer) -> None:
    ids = [
        peer.say("One. Two. Three.", channel="c", instruct="fail_after=1"),
        peer.say("One. Two.", channel="c", voice="tone-broken"),
        peer.say("One. Two.", channel="c"),
    ]
    kinds = [peer.hear(id).end["type"] for id in ids]
    assert kinds == ["failed", "failed", "finished"]


def test_utterances_without_a_channel_all_get_their_turn(connect: Callable[[], Peer]) -> None:
    peers = [connect() for _ in range(12)]
    ids = [peer.say(SOME, instruct="slow_ms=2") for peer in peers]
    for peer, id in zip(peers, ids, strict=True):
        assert peer.hear(id).end["type"] == "finished"


LEAD_MS = 200
SLACK_MS = 60
"""How late this process may see the first frame on a busy machine."""


def lead_ms(peer: Peer, id: int) -> float:
    """The most that the audio of `id` was ever ahead of the clock, pauses taken out."""
    rate = next(m["sample_rate"] for m in peer.log if m["type"] == "started" and m["id"] == id)
    frame = next(m["frame_samples"] for m in peer.log if m["type"] == "started" and m["id"] == id)
    first = paused_at = None
    standing = most = 0.0
    for at, message in zip(peer.times, peer.log, strict=True):
        if message.get("id") != id:
            continue
        if message["type"] == "paused":
            paused_at = at
        elif message["type"] == "resumed":
            assert paused_at is not None
            standing += at - paused_at
        elif message["type"] == "audio":
            first = at if first is None else first
            ahead_s = (message["offset"] + frame) / rate - (at - first - standing)
            most = max(most, ahead_s * 1000)
    return most


def test_realtime_is_never_far_ahead_of_the_clock(peer: Peer) -> None:
    id = peer.say("aaa " * 12, pace="realtime", sample_rate=8000)
    heard = peer.hear(id)
    assert heard.seconds == pytest.approx(1.2, abs=0.01)
    assert lead_ms(peer, id) <= LEAD_MS + SLACK_MS


def test_the_clock_stands_still_while_paused(peer: Peer, other: Peer) -> None:
    id = peer.say("aaa " * 12, pace="realtime", sample_rate=8000)
    for _ in range(15):
        peer.until("audio", id=id)
    peer.send({"type": "pause", "id": id})
    peer.until("paused", id=id)
    other.speak("aaa " * 6, pace="realtime")  # more than half a second passes
    peer.send({"type": "resume", "id": id})
    peer.until("resumed", id=id)
    assert peer.hear(id).end["type"] == "finished"
    assert lead_ms(peer, id) <= LEAD_MS + SLACK_MS


def test_without_pace_nothing_is_held_back(peer: Peer) -> None:
    id = peer.say("aaa " * 1200, sample_rate=8000)  # 120 s, far longer than any guard
    assert peer.hear(id).seconds == pytest.approx(120, abs=1)


@pytest.mark.parametrize("same", [True, False])
def test_a_ping_is_answered_while_the_model_computes(peer: Peer, other: Peer, same: bool) -> None:
    peer.send({"type": "load", "voice": "tone"})
    peer.until("loaded")
    id = peer.say("One. Two.", instruct="busy_ms=400")
    until(lambda: other.status()["utterances"]["active"], "it speaks")
    asker = peer if same else other
    asker.send({"type": "ping", "nonce": "while busy"})
    asker.until("pong", nonce="while busy")
    if not same:
        peer.send({"type": "status"})
        peer.until("status")
    assert not any(message["type"] == "audio" for message in peer.log)
    assert peer.hear(id).end["type"] == "finished"


def test_a_ping_is_answered_while_the_model_loads(peer: Peer) -> None:
    peer.send({"type": "unload", "model": "tone"})
    assert peer.until("unloaded", "error")["type"] == "unloaded"
    say: Message = {"type": "say", "id": 1, "text": "One."}
    peer.send(say, {"type": "ping"})
    heard = peer.hear(1)
    kinds = [m["type"] for m in peer.log]
    assert kinds.index("pong") < kinds.index("audio")
    assert heard.started["cold"]
    assert heard.started["load_ms"] > 0
