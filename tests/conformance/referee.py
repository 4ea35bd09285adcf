"""What must hold for every message on every connection, whatever the test is about."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]

CODES = frozenset(
    [
        "protocol",
        "unsupported_version",
        "unknown_type",
        "unknown_id",
        "bad_request",
        "forbidden",
        "text_too_long",
        "empty_text",
        "voice_not_found",
        "model_not_found",
        "engine_not_installed",
        "model_load_failed",
        "out_of_memory",
        "engine_crashed",
        "engine_timeout",
        "busy",
        "unsupported",
        "bad_audio",
        "voice_exists",
        "shutting_down",
        "internal",
    ]
)
RETRYABLE = frozenset(
    {"out_of_memory", "engine_crashed", "engine_timeout", "busy", "shutting_down"}
)
NUMBER = (int, float)
FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "hello": {"version": int, "server": str, "pid": int, "limits": dict},
    "started": {
        "id": int,
        "voice": str,
        "model": str,
        "sample_rate": int,
        "channels": int,
        "encoding": str,
        "frame_samples": int,
        "cold": bool,
        "queue_ms": NUMBER,
        "load_ms": NUMBER,
    },
    "audio": {"id": int, "offset": int, "pcm": bytes},
    "mark": {"id": int, "kind": str, "offset": int, "start": int, "end": int},
    "paused": {"id": int, "offset": int, "text_end": int},
    "resumed": {"id": int, "offset": int, "text_end": int},
    "stopped": {"id": int, "offset": int, "text_end": int},
    "finished": {"id": int, "samples": int, "stats": dict},
    "failed": {"id": int, "code": str, "message": str, "retryable": bool},
    "error": {"code": str, "message": str},
    "pong": {},
    "status": {},
    "voices": {"voices": list},
    "loaded": {"model": str, "load_ms": NUMBER},
    "unloaded": {"models": list},
    "voice_added": {},
    "voice_removed": {},
    "bye": {},
}


@dataclass
class Utterance:
    """What one id has been through."""

    started: Message | None = None
    sent: int = 0
    paused: bool = False
    ended: bool = False
    mark: int = 0
    text_end: int = 0
    last: bytes = b""


class Referee:
    """Checks one connection's incoming messages, one after another."""

    def __init__(self) -> None:
        self._utterances: dict[int, Utterance] = {}

    def check(self, message: Message) -> None:
        """Raises AssertionError for a breach of the contract."""
        kind = message["type"]
        for name, types in FIELDS[kind].items():
            assert isinstance(message[name], types), (kind, name, message[name])
            assert types is bool or not isinstance(message[name], bool), (kind, name)
        if kind in ("error", "failed"):
            self._complaint(message)
        if kind != "error" and "id" in message:
            utterance = self._utterances.setdefault(message["id"], Utterance())
            assert not utterance.ended, f"{kind} after the end of {message['id']}"
            getattr(self, f"_{kind}")(utterance, message)

    def _complaint(self, message: Message) -> None:
        assert message["code"] in CODES
        if message["type"] == "failed":
            assert message["retryable"] == (message["code"] in RETRYABLE)
        assert message["message"]
        assert "Traceback" not in message["message"]
        assert "\n" not in message["message"]

    def _started(self, utterance: Utterance, message: Message) -> None:
        assert utterance.started is None
        assert message["channels"] == 1
        utterance.started = message

    def _audio(self, utterance: Utterance, message: Message) -> None:
        assert utterance.started is not None, "audio before started"
        assert not utterance.paused, "audio while paused"
        assert message["offset"] == utterance.sent, "a gap or an overlap"
        wide = utterance.started["encoding"] == "f32le"
        frame_samples = utterance.started["frame_samples"]
        assert len(message["pcm"]) == frame_samples * (4 if wide else 2)
        if wide:
            assert all(map(math.isfinite, array("f", message["pcm"])))
        utterance.sent += frame_samples
        utterance.last = message["pcm"]

    def _mark(self, utterance: Utterance, message: Message) -> None:
        assert message["kind"] == "sentence"
        assert message["offset"] >= utterance.sent, "a mark after its audio"
        assert message["offset"] >= utterance.mark, "marks go back"
        assert 0 <= message["start"] < message["end"]
        utterance.mark = message["offset"]

    def _stand(self, utterance: Utterance, message: Message) -> None:
        assert message["offset"] == utterance.sent, "offset is not the samples sent so far"
        assert message["text_end"] >= utterance.text_end, "text_end goes back"
        utterance.text_end = message["text_end"]

    def _paused(self, utterance: Utterance, message: Message) -> None:
        assert not utterance.paused, "paused twice"
        self._stand(utterance, message)
        utterance.paused = True

    def _resumed(self, utterance: Utterance, message: Message) -> None:
        assert utterance.paused, "resumed without a pause"
        self._stand(utterance, message)
        utterance.paused = False

    def _stopped(self, utterance: Utterance, message: Message) -> None:
        self._stand(utterance, message)
        utterance.ended = True

    def _failed(self, utterance: Utterance, message: Message) -> None:
        del message
        utterance.ended = True

    def _finished(self, utterance: Utterance, message: Message) -> None:
        assert utterance.started is not None
        assert not utterance.paused
        assert set(message["stats"]) >= {"ttfa_ms", "synth_ms", "audio_ms", "rtf"}
        frame_samples = utterance.started["frame_samples"]
        missing = utterance.sent - message["samples"]
        assert 0 <= missing < frame_samples, "the true length is not within the last frame"
        width = len(utterance.last) // frame_samples
        padding = utterance.last[(frame_samples - missing) * width :]
        assert not any(padding), "the padding is not zeros"
        utterance.ended = True
