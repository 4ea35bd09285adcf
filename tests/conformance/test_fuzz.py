"""Bytes that are nearly right: the daemon answers or hangs up, and never falls."""

from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conformance.plain_client import Message, Peer, frame, pack, still_speaks
from tests.conformance.running import Running

MESSAGES: list[Message] = [
    {"type": "hello", "version": 1, "client": "fuzz"},
    {"type": "say", "id": 1, "text": "One. Two.", "sample_rate": 8000, "speed": 1.5},
    {"type": "say", "id": 2, "text": "One", "final": False, "channel": "c", "priority": 3},
    {"type": "text", "id": 2, "text": " two. Three", "flush": True},
    {"type": "text", "id": 2, "text": "", "final": True},
    {"type": "ping", "nonce": [1, {"a": b"b"}]},
    {"type": "status", "ref": 1.5},
    {"type": "voices"},
    {"type": "stop", "id": 1},
    {"type": "resume", "scope": "user"},
    {"type": "load", "voice": "tone", "ref": {"a": 1}},
    {"type": "unload", "model": "tone"},
    {"type": "add_voice", "name": "fuzz", "audio": b"RIFF", "text": "x", "language": "en"},
    {"type": "remove_voice", "name": "nobody"},
]
BOUNDED = settings(
    max_examples=150,
    deadline=None,
    # no shrinking: what fails here fails by waiting, and hundreds of waits help nobody
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid stream with a few bytes changed, lost, doubled or put in."""
    chosen = draw(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=8))
    data = bytearray(b"".join(map(pack, chosen)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 12)))
        change = draw(st.sampled_from(["flip", "lose", "double", "put", "cut"]))
        if change == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "lose":
            del data[at:to]
        elif change == "double":
            data[at:at] = data[at:to]
        elif change == "put":
            data[at:at] = draw(st.binary(max_size=12))
        elif change == "cut":
            del data[at:]
    return bytes(data)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from(["user", "tone", "nobody", "realtime", "f32le", 48000, 20, 1, 2, 1.0]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KINDS = [
    "hello",
    "say",
    "text",
    "resume",
    "stop",
    "ping",
    "status",
    "voices",
    "load",
    "unload",
    "add_voice",
    "remove_voice",
]
FIELDS = [
    "id",
    "text",
    "final",
    "voice",
    "language",
    "instruct",
    "speed",
    "volume",
    "sample_rate",
    "encoding",
    "frame_ms",
    "loudness",
    "pace",
    "seed",
    "priority",
    "channel",
    "interrupt",
    "ssml",
    "marks",
    "keep_alive",
    "flush",
    "scope",
    "nonce",
    "ref",
    "model",
    "name",
    "audio",
    "replace",
    "version",
    "client",
]


def survives(daemon: Running, peer: Peer, data: bytes, *, wait: bool) -> None:
    """After `data` every answer is well-formed and a clean connection still speaks."""
    before = peer.status()["errors"].get("internal", 0)
    odd = Peer(daemon.path)
    try:
        odd.write(data)
        if wait:
            odd.end_writing()
            odd.rest()
    except (BrokenPipeError, ConnectionResetError):
        pass  # hung up on while still writing
    finally:
        odd.close()
    assert peer.status()["errors"].get("internal", 0) == before


@BOUNDED
@given(data=damaged(), wait=st.booleans())
def test_damaged_streams(daemon: Running, peer: Peer, data: bytes, wait: bool) -> None:
    survives(daemon, peer, data, wait=wait)
    still_speaks(peer)


@BOUNDED
@given(data=st.binary(max_size=200), framed=st.booleans())
def test_noise(daemon: Running, peer: Peer, data: bytes, framed: bool) -> None:
    survives(daemon, peer, frame(data) if framed else data, wait=True)
    still_speaks(peer)


@BOUNDED
@given(
    messages=st.lists(
        st.tuples(
            st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
        ),
        max_size=6,
    ),
    wait=st.booleans(),
)
def test_any_value_in_any_field(
    daemon: Running, peer: Peer, messages: list[tuple[str, dict[str, Any]]], wait: bool
) -> None:
    bodies = [msgpack.packb({"type": kind, **fields}) for kind, fields in messages]
    survives(daemon, peer, b"".join(map(frame, bodies)), wait=wait)
    still_speaks(peer)


@BOUNDED
@given(cuts=st.lists(st.integers(1, 400), max_size=12))
def test_where_the_writes_are_cut_does_not_matter(daemon: Running, cuts: list[int]) -> None:
    data = b"".join(pack(message) for message in MESSAGES[:7])
    peer = Peer(daemon.path)
    for cut in cuts:
        peer.write(data[:cut])
        data = data[cut:]
    peer.write(data)
    assert peer.until("hello")["version"] == 1
    assert peer.until("pong")["nonce"] == [1, {"a": b"b"}]
    assert peer.until("status")["ref"] == 1.5
    assert {peer.hear(id).end["type"] for id in (1, 2)} == {"finished"}
    peer.close()
