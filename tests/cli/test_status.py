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


MODEL: dict[str, Any] = {
    "model": "m",
    "engine": "e",
    "state": "ready",
    "pid": 8,
    "device": "cpu",
    "loaded_s": 10.0,
    "idle_s": 1.0,
    "expires_in_s": 299.0,
    "users": 0,
    "rss_bytes": 812_000_000,
    "vram_bytes": None,
    "restarts": 0,
}


def _line(**fields: Any) -> str:
    (line,) = (x for x in describe(STATUS | {"models": [MODEL | fields]}) if "m: " in x)
    return line.strip()


def test_a_model_that_waits_for_use() -> None:
    assert _line() == "m: ready on cpu, 812 MB, unloads in 4 min 59 s"


def test_a_model_that_loads_shows_what_is_known() -> None:
    loading = _line(state="loading", device=None, rss_bytes=None, expires_in_s=None, users=1)
    assert loading == "m: loading, 1 utterance"


def test_a_model_on_the_gpu_that_was_lost_twice() -> None:
    lost = _line(device="cuda", vram_bytes=2_000_000_000, restarts=2, expires_in_s=None)
    assert lost == "m: ready on cuda, 812 MB, 2.0 GB on the GPU, restarted 2 times"


def test_a_model_that_rests_or_is_not_tried_any_more() -> None:
    assert "tried again in 8 s" in _line(state="loading", retry_in_s=8.0)
    fault = "the engine of m died 3 times in a row: wait 40 s"
    assert fault in _line(state="loading", fault=fault)


def test_failures_are_told_by_code() -> None:
    metrics = {"failures": {"engine_crashed": 2, "busy": 1}}
    lines = list(describe(STATUS | {"metrics": metrics}))
    assert any("busy (1), engine_crashed (2)" in line for line in lines)


def test_who_started_it() -> None:
    assert "started by systemd" in next(describe(STATUS | {"activation": "systemd"}))
