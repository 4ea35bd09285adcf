"""What this process holds, for the daemon's status."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from types import ModuleType

_STATM = Path("/proc/self/statm")


def memory() -> dict[str, int | None]:
    """`rss_bytes` and `vram_bytes` (None without a GPU) of this process."""
    return {"rss_bytes": _rss_bytes(), "vram_bytes": _vram_bytes()}


def _rss_bytes() -> int:
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere


def _vram_bytes() -> int | None:
    torch = sys.modules.get("torch")  # an engine without torch holds no VRAM of torch's
    if torch is None:
        return None
    if torch.cuda.is_initialized():  # asking it more would make it a process of the card's
        cards = range(torch.cuda.device_count())
        return sum(int(torch.cuda.memory_reserved(card)) for card in cards)
    return _apple_bytes(torch)


def _apple_bytes(torch: ModuleType) -> int | None:
    if not torch.backends.mps.is_available():
        return None
    return int(torch.mps.driver_allocated_memory()) or None
