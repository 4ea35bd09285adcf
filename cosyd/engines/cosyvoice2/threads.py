"""How torch's threads wait for each other; to be settled before torch is imported."""

from __future__ import annotations

import os
from typing import Final

_SETTINGS: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
"""Turns before they sleep: some microseconds, the gap between two of a step's products."""


def wait_quietly() -> None:
    """Let threads that wait long sleep, unless the user has set something else.

    By default they turn round and round. Where another process needs one of the cores, they keep
    it from the very thread that they wait for, and each of a step's thousand products takes a
    scheduler's time slice. If they sleep at once, though, waking them takes a third of the time
    where nothing else runs.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
