"""The parts of a cold start add up, and are found in the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cold import parts, worker_times

WORKER = {"start_ms": 100.0, "load_ms": 700.0, "warm_up_ms": 2.0}


def test_the_parts_add_up_to_the_whole() -> None:
    found = parts(90.0, 1500.0, {"load_ms": 850.0}, {"synth_ms": 460.0}, WORKER)
    assert found["worker: its process"] == pytest.approx(48.0)
    assert found["the rest"] == pytest.approx(100.0)
    assert sum(found.values()) == pytest.approx(2 * found["first frame"])


def test_the_workers_own_account(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [{"event": "listening"}, {"event": "warmed up", "model": "m", **WORKER}]
    log.write_text("oh\n" + "\n".join(map(json.dumps, lines)))
    assert worker_times(log) == WORKER
    log.write_text("oh\n")
    with pytest.raises(RuntimeError, match="did not tell"):
        worker_times(log)
