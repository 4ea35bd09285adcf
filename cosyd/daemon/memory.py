"""Resident memory of a process, where the system shows it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path


def rss_bytes(pid: int) -> int | None:
    """Resident bytes of process `pid`; None where it cannot be seen."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return _own_peak_bytes() if pid == os.getpid() else None
    return int(pages) * resource.getpagesize()


def _own_peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
