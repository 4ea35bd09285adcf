"""Readers that are slow or asleep: they wait for themselves, and memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.plain_client import GUARD_S, Peer, pack, still_speaks
from tests.conformance.running import Running, until

HUGE = "a. " * 1600
"""With `word_ms=2000` 53 minutes of speech: 307 MB as 48 kHz s16le."""
GROWTH_BYTES = 32 << 20


def memory(peer: Peer) -> int:
    """Of daemon and workers."""
    status = peer.status()
    return int(status["rss_bytes"] + sum(model["rss_bytes"] for model in status["models"]))


@pytest.mark.parametrize("fields", [{}, {"encoding": "f32le"}, {"channel": "c"}])
def test_a_reader_that_sleeps_costs_nothing_and_holds_up_no_other(
    connect: Callable[[], Peer], other: Peer, fields: dict[str, object]
) -> None:
    still_speaks(other)
    before = memory(other)
    asleep = connect()
    id = asleep.say(HUGE, instruct="word_ms=2000", **fields)
    for _ in range(3):
        heard = other.speak("a. " * 50, instruct="word_ms=200")
        assert heard.seconds == pytest.approx(10, abs=0.1)
        assert memory(other) - before < GROWTH_BYTES
    asleep.until("audio", id=id)
    asleep.send({"type": "stop", "id": id})
    assert asleep.hear(id).end["type"] == "stopped"
    still_speaks(asleep)


def test_many_sleeping_readers_hold_up_no_other(connect: Callable[[], Peer], other: Peer) -> None:
    """More of them than a model speaks at once."""
    still_speaks(other)
    before = memory(other)
    asleep = [connect() for _ in range(12)]
    ids = [peer.say(HUGE, instruct="word_ms=500") for peer in asleep]
    still_speaks(other)
    assert memory(other) - before < 2 * GROWTH_BYTES
    for peer, id in zip(asleep, ids, strict=True):
        peer.send({"type": "stop"})
        assert peer.hear(id).end["type"] == "stopped"


def test_a_paused_utterance_is_not_computed_to_its_end(peer: Peer, other: Peer) -> None:
    still_speaks(other)
    before = memory(other)
    id = peer.say(HUGE, instruct="word_ms=2000")
    peer.until("audio", id=id)
    peer.send({"type": "pause"})
    peer.until("paused", id=id)
    still_speaks(other)
    assert memory(other) - before < GROWTH_BYTES
    peer.send({"type": "stop"})
    assert peer.hear(id).end["type"] == "stopped"


def test_a_slow_reader_gets_everything(connect: Callable[[], Peer], other: Peer) -> None:
    slow = connect()
    id = slow.say("a. " * 100, instruct="word_ms=500")
    still_speaks(other)
    assert slow.hear(id).seconds == pytest.approx(50, abs=0.1)


def test_a_reader_that_sleeps_and_leaves_is_stopped(connect: Callable[[], Peer]) -> None:
    asleep = connect()
    asleep.say(HUGE, instruct="word_ms=2000")
    asleep.until("audio")
    asleep.close()


def poured(peer: Peer, message: bytes, most: int) -> int:
    """Write it again and again without reading; how many bytes went before that stuck."""
    data = message * 1000
    sent = 0
    peer.socket.settimeout(0.5)  # that long without taking a byte: the daemon reads no more
    try:
        while sent < most:
            sent += peer.socket.send(data[sent % len(data) :])
    except TimeoutError:
        pass
    peer.socket.settimeout(GUARD_S)
    return sent


def complete(peer: Peer, message: bytes, sent: int) -> None:
    """Write what is missing of the last of the messages poured."""
    peer.write(message[sent % len(message) :] if sent % len(message) else b"")


@pytest.mark.parametrize("kind", ["ping", "status", "voices", "sing"])
def test_a_flood_of_questions_without_reading(
    connect: Callable[[], Peer], other: Peer, kind: str
) -> None:
    still_speaks(other)
    before = memory(other)
    flood = connect()
    question = pack({"type": kind, "nonce": b"x" * 200})
    sent = poured(flood, question, 64 << 20)
    assert sent < 64 << 20, "the daemon reads on although nobody takes its answers"
    still_speaks(other)
    assert memory(other) - before < GROWTH_BYTES
    if kind == "ping":
        for _ in range(sent // len(question)):
            assert flood.next() == {"type": "pong", "nonce": b"x" * 200}
        complete(flood, question, sent)
        flood.quiet()
        still_speaks(flood)


def test_a_flood_of_recordings_is_bounded(
    connect: Callable[[], Peer], other: Peer, daemon: Running
) -> None:
    flood = connect()
    message = {"type": "add_voice", "name": "flood", "audio": b"RIFF"}
    flood.send(*[message] * 200)
    answers = [flood.next()["code"] for _ in range(150)]
    assert len(daemon.processes()) < 8
    still_speaks(other)
    answers += [flood.next()["code"] for _ in range(50)]
    assert set(answers) == {"bad_audio", "busy"}
    until(lambda: flood.ask(message)["code"] == "bad_audio", "the connection may ask again")
    still_speaks(flood)


def test_a_flood_of_says_is_bounded(connect: Callable[[], Peer], other: Peer) -> None:
    flood = connect()
    ids = [flood.say("One. Two.", instruct="slow_ms=1", channel="c") for _ in range(500)]
    still_speaks(other)
    ends = [flood.hear(id).end for id in ids]
    assert {end["code"] for end in ends if end["type"] == "failed"} <= {"busy"}
    assert sum(end["type"] == "finished" for end in ends) >= 8
    still_speaks(flood)


@pytest.mark.parametrize("piece", ["a. " * 1600, ""])
def test_a_flood_of_text_is_bounded(connect: Callable[[], Peer], other: Peer, piece: str) -> None:
    """A paused utterance does not take text for ever, not even empty text."""
    still_speaks(other)
    before = memory(other)
    flood = connect()
    first = flood.say("a. " * 1600, channel="c", instruct="word_ms=500", pace="realtime")
    id = flood.say("a.", final=False, channel="c")
    flood.send({"type": "pause"})
    for each in (first, id):
        flood.until("paused", id=each)
    text = pack({"type": "text", "id": id, "text": piece})
    sent = poured(flood, text, 5_000_000)
    assert memory(other) - before < GROWTH_BYTES
    assert flood.hear(id).end["code"] == "text_too_long"
    complete(flood, text, sent)
    still_speaks(flood)


def test_one_connection_too_many(connect: Callable[[], Peer], peer: Peer) -> None:
    most = peer.ask({"type": "hello", "version": 1})["limits"]["max_connections"]
    crowd = [connect() for _ in range(most - 1)]
    assert all(each.ask({"type": "ping"})["type"] == "pong" for each in crowd)
    refused = connect()
    *_, last = refused.rest()
    assert (last["type"], last["code"]) == ("error", "busy")
    still_speaks(crowd[-1])
    crowd.pop().close()
    deserted = peer.status()["connections"]
    while deserted > most - 1:
        deserted = peer.status()["connections"]
    still_speaks(connect())


def test_a_crowd_speaks(connect: Callable[[], Peer]) -> None:
    crowd = [connect() for _ in range(40)]
    ids = [each.say("One. Two.", sample_rate=8000) for each in crowd]
    for each, id in zip(crowd, ids, strict=True):
        assert each.hear(id).seconds == pytest.approx(0.2, abs=0.01)
