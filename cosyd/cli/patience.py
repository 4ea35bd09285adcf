"""A line on the terminal while something takes long, so that nobody thinks it hangs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

QUIET_S: Final = 0.7
"""What is done sooner shows nothing."""
TICK_S: Final = 0.5


@contextmanager
def patience(what: str, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """While the block runs, `what … 12 s` on stderr if that is a terminal; wiped afterwards."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(what, done, clock), daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


def _tick(what: str, done: threading.Event, clock: Callable[[], float]) -> None:
    began, wait_s, shown = clock(), QUIET_S, 0
    while not done.wait(wait_s):
        line = f"{what} … {clock() - began:.0f} s"
        sys.stderr.write(f"\r{line}")
        sys.stderr.flush()
        shown, wait_s = len(line), TICK_S
    if shown:
        sys.stderr.write("\r" + " " * shown + "\r")
        sys.stderr.flush()
