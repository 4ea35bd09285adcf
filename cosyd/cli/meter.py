"""How far a long transfer is: a row that changes on a terminal, a line for each file elsewhere."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from cosyd.cli.human import duration, size

DRAW_S: Final = 0.2
"""No terminal needs it more often."""
WINDOW_S: Final = 10.0
"""The rate is that of the last seconds, so that the time left follows the network."""
_BAR: Final = 20


class Meter:
    """Writes to `out`, which is stderr as a rule."""

    def __init__(
        self, out: TextIO | None, clock: Callable[[], float] = time.monotonic, *, columns: int = 0
    ) -> None:
        """`columns`: the terminal's width; 0: what the system says."""
        self._out = out
        self._smart = out is not None and out.isatty() and os.environ.get("TERM") != "dumb"
        self._clock = clock
        self._columns = columns
        self._points: deque[tuple[float, int]] = deque(maxlen=round(WINDOW_S / DRAW_S) + 1)
        self._file, self._done, self._drawn = "", 0, False
        self._first: int | None = None

    def __call__(self, file: str, done: int, total: int) -> None:
        """`done` of `total` bytes are there; `file` is being fetched."""
        if self._first is None:
            self._first = done
        if self._smart:
            self._draw(file, done, total)
        elif done > self._first and file != self._file and self._file:
            self._say(f"{self._file} is done, {self._share(self._done, total)}")
        self._file, self._done = file, done

    def close(self) -> None:
        """Leave the terminal on a fresh line."""
        if self._drawn and self._out is not None:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._drawn = False

    def _draw(self, file: str, done: int, total: int) -> None:
        now = self._clock()
        if self._points and now - self._points[-1][0] < DRAW_S and done < total:
            return
        self._points.append((now, done))
        full = _BAR if not total else round(_BAR * done / total)
        line = f"{file}  [{'#' * full}{'-' * (_BAR - full)}]  {self._share(done, total)}"
        line += self._pace(total - done)
        assert self._out is not None
        self._out.write(f"\r{line[: self._width()]}\x1b[K")
        self._out.flush()
        self._drawn = True

    def _share(self, done: int, total: int) -> str:
        return f"{done / total if total else 1:.0%} of {size(total)}"

    def _pace(self, left: int) -> str:
        (then, before), (now, done) = self._points[0], self._points[-1]
        if now - then < 1 or done <= before:
            return ""
        rate = (done - before) / (now - then)
        return f"  {size(round(rate))}/s  {duration(left / rate)} left"

    def _width(self) -> int:
        if self._columns:
            return self._columns - 1
        columns = 0
        with suppress(OSError):
            columns = os.get_terminal_size(2).columns
        return columns - 1 if columns > 1 else 79

    def _say(self, line: str) -> None:
        if self._out is not None:
            self._out.write(f"{line}\n")
            self._out.flush()
