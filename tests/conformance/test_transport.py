"""The socket, the framing, and what happens to bytes that are no message."""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.conformance.plain_client import Message, Peer, drops, frame, pack, still_speaks
from tests.conformance.running import Running, until

MAX_CLIENT_BYTES = 16 << 20
PING = {"type": "ping", "nonce": 1}
TYPES = [
    "hello",
    "say",
    "text",
    "pause",
    "resume",
    "stop",
    "ping",
    "status",
    "voices",
    "load",
    "unload",
    "add_voice",
    "remove_voice",
    "shutdown",
]


def nested(depth: int) -> bytes:
    """A ping whose unknown key holds lists, `depth` levels in all, the map counted."""
    return b"\x82\xa4type\xa4ping\xa1x" + b"\x91" * (depth - 2) + b"\x90"


def test_only_the_owner_gets_in(daemon: Running) -> None:
    socket = Path(daemon.path)
    assert stat.S_ISSOCK(socket.stat().st_mode)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\xc0",
        b"\x2a",
        b"\xff" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
        msgpack.packb([1, 2]),
        msgpack.packb("ping"),
        msgpack.packb(b"ping"),
        msgpack.packb([("type", "ping")]),
        msgpack.packb({}),
        msgpack.packb({"nonce": 1}),
        msgpack.packb({"type": None}),
        msgpack.packb({"type": 1}),
        msgpack.packb({"type": b"ping"}),
        msgpack.packb({"type": ["ping"]}),
        msgpack.packb({"type": "ping", 1: 2}),
        msgpack.packb({"type": "ping", b"nonce": 2}),
        msgpack.packb(PING) + b"\xc0",
        msgpack.packb(PING) * 2,
        msgpack.packb(PING)[:-1],
        b"\x82\xa4type\xa4ping\xa5nonce\xa2\xff\xfe",
        b"\x82\xa4type\xa4ping\xa5nonce\xa3\xed\xa0\x80",
        b"\x81\xa4type\xa4p\xc3\x28g",
        b"\x82\xa4type\xa4ping\xa2\xff\xfe\x01",
        b"\xdf\xff\xff\xff\xff\xa4type\xa4ping",
        b"\x82\xa4type\xa4ping\xa1x\xdd\xff\xff\xff\xff",
        b"\x82\xa4type\xa4ping\xa1x\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\x81\xa1x" * 50_000 + b"\xc0",
        nested(33),
        nested(1000),
    ],
    ids=lambda body: body[:20].hex(),
)
def test_what_is_not_one_map_with_a_type_ends_its_connection_only(
    peer: Peer, other: Peer, body: bytes
) -> None:
    peer.write(frame(body))
    assert drops(peer, "protocol")
    still_speaks(other)


def test_a_message_that_is_announced_too_long_is_refused_before_it_comes(peer: Peer) -> None:
    peer.write(struct.pack(">I", MAX_CLIENT_BYTES + 1))
    assert drops(peer, "protocol")


def test_a_message_may_be_as_long_as_the_limit(peer: Peer) -> None:
    empty = len(msgpack.packb({**PING, "x": bytes(1 << 16)})) - (1 << 16)
    body = msgpack.packb({**PING, "x": bytes(MAX_CLIENT_BYTES - empty)})
    assert len(body) == MAX_CLIENT_BYTES
    peer.write(frame(body))
    assert peer.next() == {"type": "pong", "nonce": 1}
    still_speaks(peer)


def test_what_was_asked_before_the_garbage_is_answered(peer: Peer) -> None:
    peer.write(pack(PING) + frame(b"\xc1"))
    first, last = peer.rest()
    assert first == {"type": "pong", "nonce": 1}
    assert (last["type"], last["code"]) == ("error", "protocol")


def test_garbage_while_speaking_stops_the_computing(peer: Peer, other: Peer) -> None:
    peer.say("One. Two.", instruct="slow_ms=60000")
    peer.write(frame(b"\xc1"))
    assert peer.rest()[-1]["code"] == "protocol"
    still_speaks(other)  # a minute before the step would end


@pytest.mark.parametrize("depth", [3, 31, 32])
def test_nesting_up_to_32_levels_is_fine(peer: Peer, depth: int) -> None:
    peer.write(frame(nested(depth)))
    assert peer.next()["type"] == "pong"


@pytest.mark.parametrize("kept", [1, 3, 4, 5, 12])
def test_a_message_cut_off_by_the_end_gets_no_answer_but_an_error(
    peer: Peer, other: Peer, kept: int
) -> None:
    peer.write(pack(PING)[:kept])
    peer.end_writing()
    assert [message["code"] for message in peer.rest()] in ([], ["protocol"])
    still_speaks(other)


@pytest.mark.parametrize("kept", [0, 2, 4, 9])
def test_leaving_in_the_middle_of_a_message(
    connect: Callable[[], Peer], kept: int, other: Peer
) -> None:
    leaving = connect()
    leaving.write(pack(PING)[:kept])
    leaving.close()
    still_speaks(other)


def test_unknown_keys_of_every_kind_are_ignored(peer: Peer) -> None:
    values: list[Any] = [1, -1, 2**64 - 1, 1.5, True, "x", b"x", [1], {"a": 1}]
    values += [msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 2), float("nan")]
    for value in values:
        assert peer.ask({**PING, "surprise": value}) == {"type": "pong", "nonce": 1}


@pytest.mark.parametrize("kind", ["sing", "", "Ping", "audio", "pong", "started", "x" * 100_000])
def test_an_unknown_type_leaves_the_connection_alive(peer: Peer, kind: str) -> None:
    answer = peer.ask({"type": kind})
    assert (answer["type"], answer["code"]) == ("error", "unknown_type")
    still_speaks(peer)


def test_optional_fields_may_be_nil(peer: Peer) -> None:
    names = [
        "language",
        "instruct",
        "seed",
        "channel",
        "voice",
        "speed",
        "volume",
        "sample_rate",
        "encoding",
        "frame_ms",
        "pace",
        "priority",
        "interrupt",
        "ssml",
        "marks",
        "keep_alive",
        "final",
    ]
    heard = peer.speak("One two.", **dict.fromkeys(names))
    assert heard.end["type"] == "finished"
    assert (heard.started["sample_rate"], heard.started["frame_samples"]) == (48000, 960)
    assert (heard.started["encoding"], heard.started["voice"]) == ("s16le", "tone")
    assert len(heard.marks) == 1
    assert peer.ask({"type": "hello", "version": 1, "client": None})["type"] == "hello"
    for kind in ("pause", "resume", "stop"):
        peer.send({"type": kind, "id": None, "scope": None})
    assert peer.quiet() == []
    assert peer.ask({"type": "ping", "nonce": None})["nonce"] is None
    assert peer.ask({"type": "unload", "model": None, "ref": None})["type"] == "unloaded"


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_without_its_fields_leaves_the_connection_alive(peer: Peer, kind: str) -> None:
    if kind == "shutdown":  # alone it is a whole message; a wrong field must not end the daemon
        answer = peer.ask({"type": kind, "drain": "no"})
        assert (answer["type"], answer["code"]) == ("error", "bad_request")
    else:
        peer.send({"type": kind})
    peer.quiet()
    still_speaks(peer)


def test_a_message_may_come_byte_by_byte(peer: Peer) -> None:
    say: Message = {"type": "say", "id": 1, "text": "One two.", "sample_rate": 8000}
    for byte in pack({"type": "hello", "version": 1}) + pack(say):
        peer.write(bytes([byte]))
    assert peer.until("hello")["version"] == 1
    assert peer.hear(1).end["samples"] == 1600


def test_a_client_need_not_wait_for_answers(peer: Peer) -> None:
    peer.send({"type": "hello", "version": 1}, {"type": "say", "id": 1, "text": "Hi."}, PING)
    assert peer.until("hello")["version"] == 1
    assert peer.until("pong")["nonce"] == 1
    assert peer.hear(1).end["type"] == "finished"


def test_hello_tells_the_limits(peer: Peer, daemon: Running) -> None:
    hello = peer.ask({"type": "hello", "version": 1, "client": "conformance"})
    assert hello["version"] == 1
    assert hello["pid"] == daemon.process.pid
    name, _, version = hello["server"].partition("/")
    assert name == "cosyd"
    assert version == peer.status()["version"]
    limits = hello["limits"]
    assert limits["max_message_bytes"] == MAX_CLIENT_BYTES
    assert limits["max_text_chars"] == 5000
    assert limits["max_utterances"] > 0
    assert limits["max_connections"] > 0


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"version": None},
        {"version": "1"},
        {"version": 1.0},
        {"version": True},
        {"version": 1, "client": 7},
        {"version": 1, "client": b"x"},
    ],
)
def test_a_hello_with_a_wrong_field_is_a_bad_request(peer: Peer, fields: Message) -> None:
    answer = peer.ask({"type": "hello", **fields})
    assert (answer["type"], answer["code"]) == ("error", "bad_request")
    assert ("client" if "client" in fields else "version") in answer["message"]
    still_speaks(peer)


@pytest.mark.parametrize("version", [0, 2, -1, 2**63])
def test_a_version_that_is_not_spoken_ends_the_connection(peer: Peer, version: int) -> None:
    peer.send({"type": "hello", "version": version})
    assert drops(peer, "unsupported_version")


def test_a_client_that_closed_its_writing_side_gets_all_it_asked_for(peer: Peer) -> None:
    peer.send({"type": "hello", "version": 1}, {"type": "status"})
    first = peer.say("One. Two. Three.", instruct="slow_ms=30")
    second = peer.say("Four five.", sample_rate=16000)
    peer.end_writing()
    assert peer.hear(first).seconds == pytest.approx(0.3, abs=0.01)
    assert peer.hear(second).end["samples"] == 3200
    assert {message["type"] for message in peer.rest()} == {"hello", "status"}


def test_a_text_that_never_becomes_final_ends_with_the_writing_side(peer: Peer) -> None:
    """Nothing more can come, so what is there is spoken: a shell pipe that simply ends."""
    id = peer.say("One two. Three", final=False)
    peer.end_writing()
    assert peer.hear(id).seconds == pytest.approx(0.3, abs=0.01)
    assert peer.rest() == []


@pytest.mark.parametrize("half_closed_first", [False, True])
@pytest.mark.parametrize("knobs", ["slow_ms=60000", "busy_ms=60000"])
def test_a_client_that_is_gone_stops_the_computing(
    connect: Callable[[], Peer], other: Peer, half_closed_first: bool, knobs: str
) -> None:
    leaving = connect()
    leaving.say("One. Two. Three.", instruct=knobs)
    leaving.say("One. Two. Three.", channel="waiting")
    leaving.say("Four.", channel="waiting")
    assert leaving.quiet() is not None  # the daemon has them
    if half_closed_first:
        leaving.end_writing()
    leaving.close()
    until(lambda: not other.status()["utterances"]["active"], "all that it asked for is stopped")
    still_speaks(other)  # a minute before the step would end


def test_a_client_that_leaves_while_paused_is_stopped(connect: Callable[[], Peer]) -> None:
    leaving = connect()
    id = leaving.say("One. Two. Three.", instruct="slow_ms=20")
    leaving.until("audio", id=id)
    leaving.send({"type": "pause", "id": id})
    leaving.until("paused", id=id)
    leaving.close()
