"""A daemon's messages by hand, and what a client has sent, for the tests of the client's end."""

from __future__ import annotations

from typing import Any

from cosyd.wire.connection import ClientConnection
from cosyd.wire.framing import Decoder, encode
from cosyd.wire.inbox import Inbox
from cosyd.wire.messages import MAX_CLIENT_MESSAGE_BYTES, MAX_SERVER_MESSAGE_BYTES

FRAME = 4  # samples, to keep it readable
CHUNKINGS = [1, 7, 50, 100_000]


def packed(*messages: dict[str, Any]) -> bytes:
    return b"".join(encode(message, MAX_SERVER_MESSAGE_BYTES) for message in messages)


def hello(ref: int = 1) -> dict[str, Any]:
    return {"type": "hello", "version": 1, "server": "x/1", "pid": 1, "limits": {}, "ref": ref}


def started(number: int = 1) -> dict[str, Any]:
    return {
        "type": "started",
        "id": number,
        "voice": "tone",
        "model": "tone",
        "sample_rate": 48000,
        "channels": 1,
        "encoding": "s16le",
        "frame_samples": FRAME,
        "cold": False,
        "queue_ms": 0.0,
        "load_ms": 0.0,
    }


def audio(index: int, number: int = 1, first: int = 0) -> dict[str, Any]:
    pcm = bytes([index % 256]) * FRAME * 2
    return {"type": "audio", "id": number, "offset": first + index * FRAME, "pcm": pcm}


def mark(offset: int, start: int, end: int) -> dict[str, Any]:
    fields = {"kind": "sentence", "offset": offset, "start": start, "end": end}
    return {"type": "mark", "id": 1, **fields}


def control(kind: str, offset: int = 0, text_end: int = 0, number: int = 1) -> dict[str, Any]:
    return {"type": kind, "id": number, "offset": offset, "text_end": text_end}


def finished(samples: int, number: int = 1) -> dict[str, Any]:
    return {"type": "finished", "id": number, "samples": samples, "stats": {"rtf": 0.5}}


def failed(code: str, number: int = 1) -> dict[str, Any]:
    return {"type": "failed", "id": number, "code": code, "message": "why", "retryable": False}


def error(code: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": "why", **more}


def said(core: ClientConnection) -> list[dict[str, Any]]:
    """What the client has sent since the last call."""
    decoder, messages = Decoder(MAX_CLIENT_MESSAGE_BYTES), []
    decoder.feed(bytes(core.outgoing))
    core.sent(len(core.outgoing))
    while (message := decoder.next_message()) is not None:
        messages.append(message)
    assert not decoder.pending_bytes
    return messages


def kinds(core: ClientConnection) -> list[tuple[str, int]]:
    return [(message["type"], message["id"]) for message in said(core)]


def feed(core: ClientConnection, *messages: dict[str, Any], chunk: int = 100_000) -> None:
    data = packed(*messages)
    for at in range(0, len(data), chunk):
        core.receive(data[at : at + chunk])


def greeted() -> ClientConnection:
    """A connection that has been greeted; at most ten frames fit into an inbox."""
    connection = ClientConnection("test", inbox_frames=10)
    assert said(connection) == [{"type": "hello", "version": 1, "client": "test", "ref": 1}]
    feed(connection, hello())
    return connection


def take_all(core: ClientConnection, inbox: Inbox) -> list[bytes]:
    frames = []
    while inbox.ready and (frame := core.take(inbox)) is not None:
        frames.append(frame)
    return frames
