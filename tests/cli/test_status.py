"""What `cosy status` says to a person, from every shape of a status."""

from __future__ import annotations

from typing import Any

from cosyd.cli.status import describe

NOTHING = {"count": 0, "p50": None, "p95": None, "p99": None}
STATUS: dict[str, Any] = {
    "pid": 7,
    "uptime_s": 3.0,
    "version": "1",
    "rss_bytes": 30_000_000,
    "utterances": dict.fromkeys(("active", "queued", "finished", "stopped", "failed"), 0),
    "ttfa_ms": NOTHING,
    "rtf": NOTHING,
    "models": [],
    "idle_exit_in_s": None,
}


def test_nothing_has_happened_yet() -> None:
    lines = list(describe(STATUS))
    assert "running" in lines[0] and not any("sound after" in line for line in lines)


def test_something_was_begun_but_nothing_finished() -> None:
    begun = {"count": 1, "p50": 12.0, "p95": 12.0, "p99": 12.0}
    lines = list(describe(STATUS | {"ttfa_ms": begun}))
    assert any("12 ms" in line and "computing" not in line for line in lines)


def test_something_was_finished() -> None:
    one = {"count": 1, "p50": 0.5, "p95": 0.5, "p99": 0.5}
    assert any("0.50" in line for line in describe(STATUS | {"ttfa_ms": one, "rtf": one}))
