"""State tables: an utterance as the daemon drives it, and as the client may be told of it.

A pair that is not in a table is no transition: the daemon keeps silent about it, the client
takes it for a broken server. docs/protocol.md shows both as diagrams made from these tables.
"""

from __future__ import annotations

from typing import Final, Literal

State = Literal["queued", "held", "speaking", "paused", "ended"]
Event = Literal["begin", "pause", "resume", "finish", "stop", "fail"]

UTTERANCE: Final[dict[tuple[State, Event], State]] = {
    ("queued", "begin"): "speaking",
    ("queued", "pause"): "held",
    ("held", "resume"): "queued",
    ("held", "begin"): "paused",
    ("speaking", "pause"): "paused",
    ("paused", "resume"): "speaking",
    ("speaking", "finish"): "ended",
    ("queued", "stop"): "ended",
    ("held", "stop"): "ended",
    ("speaking", "stop"): "ended",
    ("paused", "stop"): "ended",
    ("queued", "fail"): "ended",
    ("held", "fail"): "ended",
    ("speaking", "fail"): "ended",
    ("paused", "fail"): "ended",
}
"""Daemon side. `held` is paused before its turn came; `paused` never ends by itself."""

GATE_OPEN: Final[frozenset[State]] = frozenset({"speaking"})
"""States in which audio may be sent."""

BEGUN: Final[frozenset[State]] = frozenset({"speaking", "paused"})
"""States after `started`."""

SILENT: Final[frozenset[State]] = frozenset({"held", "paused"})
"""States that only a client ends: a drain does not wait for them."""

ClientState = Literal["said", "started", "ended"]

CLIENT_UTTERANCE: Final[dict[tuple[ClientState, str], ClientState]] = {
    ("said", "started"): "started",
    ("said", "paused"): "said",
    ("said", "resumed"): "said",
    ("said", "stopped"): "ended",
    ("said", "failed"): "ended",
    ("started", "mark"): "started",
    ("started", "audio"): "started",
    ("started", "paused"): "started",
    ("started", "resumed"): "started",
    ("started", "finished"): "ended",
    ("started", "stopped"): "ended",
    ("started", "failed"): "ended",
}
"""Client side: which message may come when."""
