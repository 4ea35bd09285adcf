"""Orders (daemon → worker) and reports (worker → daemon), as tables, in the wire's framing.

`stream` numbers one utterance on this link. Audio flows by credit: a worker sends at most as
many samples of a stream as it was granted, so a closed gate in the daemon reaches the scheduler.
"""

from __future__ import annotations

from typing import Any, Final

from cosyd.wire.fields import REQUIRED, Field, check
from cosyd.wire.framing import Decoder, encode

MAX_ORDER_BYTES: Final = 16 * 1024 * 1024
CHUNK_BYTES: Final = 65_536
"""The most PCM in one `chunk` report."""

_STREAM = Field("stream", "int", REQUIRED, 0)

ORDERS: Final[dict[str, tuple[Field, ...]]] = {
    "speak": (
        _STREAM,
        Field("voice", "str", REQUIRED),  # the voicepack's directory
        Field("prompt", "str"),  # which of its prompts; none: it has none
        Field("text", "str", REQUIRED),
        Field("final", "bool", REQUIRED),
        Field("language", "str"),
        Field("instruct", "str"),
        Field("speed", "float", REQUIRED),
        Field("seed", "int"),
        Field("volume", "float", REQUIRED),
        Field("loudness", "float", nil=True),
        Field("sample_rate", "int", REQUIRED),
        Field("encoding", "str", REQUIRED),
        Field("priority", "int", REQUIRED),
        Field("credit_samples", "int", REQUIRED),
    ),
    "text": (
        _STREAM,
        Field("text", "str", REQUIRED),
        Field("final", "bool", REQUIRED),
        Field("flush", "bool", REQUIRED),
    ),
    "credit": (_STREAM, Field("samples", "int", REQUIRED, 1)),
    "cancel": (_STREAM,),
    "probe": (),
}

_MEMORY = (Field("rss_bytes", "int", 0), Field("vram_bytes", "int"))

REPORTS: Final[dict[str, tuple[Field, ...]]] = {
    "ready": (Field("load_ms", "float", REQUIRED), Field("device", "str", REQUIRED), *_MEMORY),
    "load_failed": (Field("code", "str", REQUIRED), Field("message", "str", REQUIRED)),
    "sentence": (
        _STREAM,
        Field("offset", "int", REQUIRED, 0),  # samples at the asked rate
        Field("start", "int", REQUIRED, 0),
        Field("end", "int", REQUIRED, 0),
    ),
    "chunk": (
        _STREAM,
        Field("pcm", "bin", REQUIRED),
        Field("text_end", "int", REQUIRED, 0),  # character reached when this chunk ends
    ),
    "done": (
        _STREAM,
        Field("samples", "int", REQUIRED, 0),
        Field("synth_ms", "float", REQUIRED, 0),
        *_MEMORY,
    ),
    "failed": (_STREAM, Field("code", "str", REQUIRED), Field("message", "str", REQUIRED)),
    "halted": (_STREAM,),  # answers a cancel: no step runs for the stream any more
    "alive": (),  # answers a probe, between two steps
}


def pack(kind: str, **fields: Any) -> bytes:
    """One order or report as bytes."""
    return encode({"type": kind, **fields}, MAX_ORDER_BYTES)


def decoder() -> Decoder:
    """A decoder for either end."""
    return Decoder(MAX_ORDER_BYTES)


def check_order(message: dict[str, Any]) -> dict[str, Any]:
    """The order's fields. Raises `FieldError`, or KeyError for an unknown type."""
    return check(message, ORDERS[message["type"]])


def check_report(message: dict[str, Any]) -> dict[str, Any]:
    """The report's fields. Raises `FieldError`, or KeyError for an unknown type."""
    return check(message, REPORTS[message["type"]])
