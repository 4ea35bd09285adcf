"""Every message of protocol version 1, as tables: name → fields.

`docs/protocol.md` is the prose of the same contract; a test compares the two.
"""

from __future__ import annotations

from typing import Any, Final

from cosyd.wire.fields import ID_MAX, REQUIRED, Field, check

VERSION: Final = 1

MAX_CLIENT_MESSAGE_BYTES: Final = 16 * 1024 * 1024
MAX_SERVER_MESSAGE_BYTES: Final = 1024 * 1024
MAX_TEXT_CHARS: Final = 5_000
MAX_UTTERANCES: Final = 32
"""Per connection, queued ones included."""
MAX_CONNECTIONS: Final = 128
MAX_NONCE_BYTES: Final = 256
MAX_UTTERANCE_CHARS: Final = 4_000_000
"""All the text of one utterance, over all its messages."""
MAX_UTTERANCE_PIECES: Final = 100_000
"""The messages that text may come in; empty ones cost memory too."""
MAX_REF_BYTES: Final = 65_536
"""Packed; it must fit into the answer."""
MAX_NAME_CHARS: Final = 256
MAX_PENDING_ANSWERS: Final = 16
"""`load` and `add_voice` messages of one connection that wait for their answer."""

SAMPLE_RATES: Final = (8000, 16000, 22050, 24000, 44100, 48000)
SAMPLE_BYTES: Final = {"s16le": 2, "f32le": 4}
REALTIME_LEAD_MS: Final = 200

Message = dict[str, Any]
"""One wire unit: a map with a string `type`."""

_ID = Field("id", "int", REQUIRED, 0, ID_MAX)
_ANY_ID = Field("id", "int", None, 0, ID_MAX)
_SCOPE = Field("scope", "str", None, choices=("user",))
_OFFSET = Field("offset", "int", REQUIRED, 0)
_REF = Field("ref", "any")
_VOICE = Field("voice", "str", None, high=MAX_NAME_CHARS)
_MODEL = Field("model", "str", None, high=MAX_NAME_CHARS)

SAY: Final = (
    _ID,
    Field("text", "str", REQUIRED),
    Field("final", "bool", True),
    _VOICE,
    Field("language", "str", None, high=64),
    Field("instruct", "str", None, high=MAX_TEXT_CHARS),
    Field("speed", "float", 1.0, 0.5, 2.0),
    Field("volume", "float", 1.0, 0.0, 2.0),
    Field("sample_rate", "int", 48000, choices=SAMPLE_RATES),
    Field("encoding", "str", "s16le", choices=tuple(SAMPLE_BYTES)),
    Field("frame_ms", "int", 20, 10, 100),
    Field("loudness", "float", -16.0, -40.0, -5.0, nil=True),
    Field("pace", "str", "none", choices=("none", "realtime")),
    Field("seed", "int"),
    Field("priority", "int", 0, -10, 10),
    Field("channel", "str", None, high=MAX_NAME_CHARS),
    Field("interrupt", "bool", False),
    Field("ssml", "bool", False),
    Field("marks", "bool", True),
    Field("keep_alive", "float", None, 0.0, also=(-1, -1.0)),
)

CLIENT: Final[dict[str, tuple[Field, ...]]] = {
    "hello": (
        Field("version", "int", REQUIRED),
        Field("client", "str", "", high=MAX_NAME_CHARS),
        _REF,
    ),
    "say": SAY,
    "text": (
        _ID,
        Field("text", "str", REQUIRED),
        Field("final", "bool", False),
        Field("flush", "bool", False),
        _REF,
    ),
    "pause": (_ANY_ID, _SCOPE, _REF),
    "resume": (_ANY_ID, _SCOPE, _REF),
    "stop": (_ANY_ID, _SCOPE, _REF),
    "ping": (Field("nonce", "any"), _REF),
    "status": (_REF,),
    "voices": (_REF,),
    "load": (_VOICE, _MODEL, _REF),
    "unload": (_MODEL, _REF),
    "add_voice": (
        Field("name", "str", REQUIRED, high=MAX_NAME_CHARS),
        Field("audio", "bin", REQUIRED),
        Field("text", "str", "", high=MAX_TEXT_CHARS),
        Field("language", "str", None, high=64),
        Field("replace", "bool", False),
        _REF,
    ),
    "remove_voice": (Field("name", "str", REQUIRED, high=MAX_NAME_CHARS), _REF),
    "shutdown": (Field("drain", "bool", True), _REF),
}
"""Client → server."""

_VERDICT = (_ID, _OFFSET, Field("text_end", "int", 0, 0))

SERVER: Final[dict[str, tuple[Field, ...]]] = {
    "hello": (
        Field("version", "int", REQUIRED),
        Field("server", "str", REQUIRED),
        Field("pid", "int", REQUIRED),
        Field("limits", "map", REQUIRED),
        _REF,
    ),
    "started": (
        _ID,
        Field("voice", "str", REQUIRED),
        Field("model", "str", REQUIRED),
        Field("sample_rate", "int", REQUIRED, choices=SAMPLE_RATES),
        Field("channels", "int", 1, 1, 1),
        Field("encoding", "str", REQUIRED, choices=tuple(SAMPLE_BYTES)),
        Field("frame_samples", "int", REQUIRED, 1),
        Field("cold", "bool", REQUIRED),
        Field("queue_ms", "float", REQUIRED, 0),
        Field("load_ms", "float", REQUIRED, 0),
    ),
    "audio": (_ID, _OFFSET, Field("pcm", "bin", REQUIRED)),
    "mark": (
        _ID,
        Field("kind", "str", REQUIRED),
        _OFFSET,
        Field("start", "int", REQUIRED, 0),
        Field("end", "int", REQUIRED, 0),
    ),
    "paused": _VERDICT,
    "resumed": _VERDICT,
    "stopped": _VERDICT,
    "finished": (
        _ID,
        Field("samples", "int", REQUIRED, 0),
        Field("stats", "map", REQUIRED),
    ),
    "failed": (
        _ID,
        Field("code", "str", REQUIRED),
        Field("message", "str", REQUIRED),
        Field("retryable", "bool", REQUIRED),
    ),
    "error": (Field("code", "str", REQUIRED), Field("message", "str", REQUIRED), _REF),
    "pong": (Field("nonce", "any"), _REF),
    "status": (
        Field("pid", "int", REQUIRED),
        Field("uptime_s", "float", REQUIRED),
        Field("version", "str", REQUIRED),
        Field("socket", "str", REQUIRED),
        Field("activation", "str", REQUIRED, choices=("systemd", "launchd", "self")),
        Field("idle_timeout_s", "float", REQUIRED),
        Field("idle_exit_in_s", "float"),
        Field("connections", "int", REQUIRED),
        Field("utterances", "map", REQUIRED),
        Field("errors", "map", REQUIRED),
        Field("ttfa_ms", "map", REQUIRED),
        Field("rtf", "map", REQUIRED),
        Field("rss_bytes", "int", REQUIRED),
        Field("models", "list", REQUIRED),
        Field("open_utterances", "list"),
        Field("metrics", "map"),
        _REF,
    ),
    "voices": (Field("voices", "list", REQUIRED), _REF),
    "loaded": (Field("model", "str", REQUIRED), Field("load_ms", "float", REQUIRED), _REF),
    "unloaded": (Field("models", "list", REQUIRED), _REF),
    "voice_added": (Field("voice", "map", REQUIRED), _REF),
    "voice_removed": (Field("name", "str", REQUIRED), _REF),
    "bye": (_REF,),
}
"""Server → client."""

ANSWERS: Final = {
    "hello": "hello",
    "ping": "pong",
    "status": "status",
    "voices": "voices",
    "load": "loaded",
    "unload": "unloaded",
    "add_voice": "voice_added",
    "remove_voice": "voice_removed",
    "shutdown": "bye",
}
"""Request → the answer that carries its `ref` (an `error` may come instead)."""

TERMINAL: Final = frozenset({"finished", "stopped", "failed"})
"""Exactly one of these ends an utterance."""


def frame_samples(sample_rate: int, frame_ms: int) -> int:
    """Samples of one frame: sample_rate (Hz) × frame_ms / 1000, to the nearest, ties to even."""
    return round(sample_rate * frame_ms / 1000)


def check_client(message: Message) -> Message:
    """A known client message's fields with defaults. Raises `FieldError`."""
    return check(message, CLIENT[message["type"]])


def check_server(message: Message) -> Message:
    """A known server message's fields with defaults. Raises `FieldError`."""
    return check(message, SERVER[message["type"]])
