"""Child processes that must not outlive the daemon, not even one that was killed."""

from __future__ import annotations

import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends; only Linux can.

    A parent that ended before this call goes unnoticed: look at what connects you to it, after.
    """
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
