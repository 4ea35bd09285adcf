"""An unloaded model's memory is given back, all of it: it was another process's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cosyd
from tests.conformance.running import until

BACK_WITHIN: Final = 0.05
ROUNDS: Final = 4
MODEL_BYTES: Final = 100 * 2**20
"""What the tone engine is told to take, as a model would."""


def rss_bytes(home: Any) -> int:
    """Of the daemon and all that it has started."""
    return sum(_rss_bytes(pid) for pid in home.processes())


def _rss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    (kib,) = [line.split()[1] for line in lines if line.startswith("VmRSS:")] or ["0"]
    return int(kib) * 1024


def test_memory_comes_back_after_every_unload(home: Any) -> None:
    with cosyd.connect() as client:
        assert client.voices()  # the catalogue is the daemon's own, and read at the first use
        before = rss_bytes(home)
        for _ in range(ROUNDS):
            client.load(voice="tone")
            utterance = client.say("One. Two. Three.", instruct=f"leak_mb={MODEL_BYTES >> 20}")
            assert utterance.result.kind == "finished"
            assert rss_bytes(home) > before + 2 * MODEL_BYTES
            assert client.unload() == ["tone"]
            until(lambda: len(home.processes()) == 1, "the worker ends")
            after = rss_bytes(home)
            assert after <= before * (1 + BACK_WITHIN), (before, after)
