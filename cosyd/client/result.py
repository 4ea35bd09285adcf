"""What the clients hand out, as values, and how they are read from the wire's messages."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from cosyd.wire.inbox import Inbox
from cosyd.wire.messages import Message


class Server(NamedTuple):
    """Who answers: the daemon's greeting."""

    version: int
    """Of the protocol."""
    server: str
    """Name/version of the program."""
    pid: int
    limits: dict[str, int]
    """max_message_bytes, max_text_chars, max_utterances, max_connections."""


class Started(NamedTuple):
    """How an utterance is spoken."""

    voice: str
    model: str
    sample_rate: int
    """Hz."""
    channels: int
    encoding: str
    """"s16le" or "f32le"."""
    frame_samples: int
    """Samples of each frame."""
    cold: bool
    """Whether the model had to be loaded."""
    queue_ms: float
    load_ms: float


class Result(NamedTuple):
    """How an utterance ended."""

    kind: Literal["finished", "stopped"]
    samples: int
    """True length of the audio, without padding; of a stopped one, what was sent of it."""
    text_end: int | None
    """Character position reached (estimated); None: all of it."""
    stats: dict[str, Any]
    """ttfa_ms, synth_ms, audio_ms, rtf; empty for a stopped one."""


def server_of(message: Message) -> Server:
    """The greeting as a value."""
    return Server(*(message[name] for name in Server._fields))


def started_of(inbox: Inbox) -> Started | None:
    """How it is spoken; None if it was stopped before. Raises what `failed` said."""
    if inbox.started is None:
        if inbox.error is not None:
            raise inbox.error
        return None
    return Started(*(inbox.started[name] for name in Started._fields))


def result_of(inbox: Inbox) -> Result:
    """How it ended. Raises what `failed` said.

    Raises:
        RuntimeError: it cannot end, because nobody takes its audio.
    """
    if inbox.error is not None:
        raise inbox.error
    if inbox.terminal is None:
        raise RuntimeError("nobody listens to this utterance: iterate, play or save it first")
    if inbox.terminal["type"] == "stopped":
        return Result("stopped", inbox.offset, inbox.text_end, {})
    return Result("finished", inbox.terminal["samples"], None, inbox.terminal["stats"])
