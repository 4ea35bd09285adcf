"""What `cosy say` shows on the terminal while it speaks: the text itself, or a bar.

Both write to stderr, and only if that is a terminal; into a file or a pipe they write nothing.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from typing import Final, Protocol, TextIO

_REVERSE, _UNDERLINE, _PLAIN = "\x1b[7m", "\x1b[4m", "\x1b[0m"
_TAB: Final = "    "
_WORD: Final = re.compile(r"[\u2e80-\U0003ffff] *|[^ \u2e80-\U0003ffff]+ *| +")
"""A word with the spaces after it; a Chinese character or an emoji is one of its own."""


class Display(Protocol):
    """Is told which sentence is heard now."""

    def sentence(self, text: str, start: int, end: int) -> None:
        """Characters `start:end` of `text`, all that was sent so far, begin to be heard."""

    def close(self, done: bool) -> None:
        """No more is heard; `done`: all of it was."""


def open_display(*, interactive: bool, total: int | None) -> Display | None:
    """The text itself, or a bar; None where stderr is no terminal that could show it.

    `total`: characters of the whole text; None: not known yet.
    """
    out = sys.stderr
    if out is None or not out.isatty():
        return None
    smart = os.environ.get("TERM", "dumb") != "dumb"
    if interactive:
        mark = _UNDERLINE if os.environ.get("NO_COLOR") else _REVERSE
        return Highlighter(out, mark if smart else "")
    return Bar(out, total) if smart else None


def cell_width(character: str) -> int:
    """Columns that one character takes in a terminal: 0, 1 or 2."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _clean(text: str) -> str:
    """`text` without what would move the cursor: ESC and its kind become spaces."""
    text = text.replace("\r\n", "\n").replace("\t", _TAB)
    return "".join(c if c == "\n" or unicodedata.category(c) != "Cc" else " " for c in text)


def lay_out(text: str, column: int, width: int) -> list[str]:
    """`text`, begun at `column`, in rows that end before column `width`, broken at spaces.

    The first row may be empty: nothing fits there. Spaces at the end of a full row are dropped.
    """
    rows, used = [""], column
    for number, line in enumerate(_clean(text).split("\n")):
        if number:
            rows.append("")
            used = 0
        for word in _WORD.findall(line):
            if used and used + _cells(word.rstrip(" ")) > width:
                rows.append("")
                used = 0
            used = _place(word, rows, used, width)
    return rows


def _place(word: str, rows: list[str], used: int, width: int) -> int:
    """Append `word` to the last row, cut where it is longer than a row. Returns the column."""
    for character in word:
        wide = cell_width(character)
        if used + wide > width:
            if character == " ":
                continue
            rows.append("")
            used = 0
        rows[-1] += character
        used += wide
    return used


def _cells(text: str) -> int:
    return sum(map(cell_width, text))


class Highlighter:
    """Writes each sentence when it is heard, marked; unmarks it when the next one comes.

    It breaks the rows itself, one column short of the terminal's width, so that it knows how
    many rows to go back; rows that have scrolled off stay as they are.
    """

    def __init__(self, out: TextIO, mark: str) -> None:
        self._out = out
        self._mark = mark
        """Escape sequence that begins a highlight; "": a terminal that knows none."""
        self._at = 0
        """Characters written so far."""
        self._column = 0
        self._marked: list[str] = []
        """Rows of the sentence that is highlighted now."""
        self._marked_column = 0

    def sentence(self, text: str, start: int, end: int) -> None:
        """Highlight `text[start:end]`; what lies between it and the last one is written plain."""
        self._unmark()
        self._write(text[self._at : start], "")
        self._write(text[max(start, self._at) : end], self._mark)
        self._at = max(self._at, end)
        self._out.flush()

    def close(self, done: bool) -> None:
        """Leave the terminal on a fresh line."""
        del done
        self._unmark()
        if self._column:
            self._out.write("\n")
        self._out.flush()

    def _write(self, text: str, mark: str) -> None:
        if not text:
            return
        rows = lay_out(text, self._column, _size().columns - 1)
        if mark:
            self._marked, self._marked_column = rows, self._column
        self._out.write("\n".join(f"{mark}{row}{_PLAIN}" if mark and row else row for row in rows))
        before = self._column if len(rows) == 1 else 0
        self._column = before + _cells(rows[-1])

    def _unmark(self) -> None:
        visible = self._marked[-max(1, _size().lines - 1) :]
        if not visible:
            return
        column = self._marked_column if len(visible) == len(self._marked) else 0
        up = f"\x1b[{len(visible) - 1}A" if len(visible) > 1 else ""
        right = f"\x1b[{column}C" if column else ""
        self._out.write(f"\r{up}{right}\x1b[J" + "\n".join(visible))
        self._marked = []


class Bar:
    """A bar by the position in the text, on one row."""

    def __init__(self, out: TextIO, total: int | None) -> None:
        self._out = out
        self._total = total
        self._shown = ""
        self._draw(0)

    def sentence(self, text: str, start: int, end: int) -> None:
        """The position is the sentence's beginning."""
        del text, end
        self._draw(start)

    def close(self, done: bool) -> None:
        """A full bar if all was heard; then a fresh line."""
        if done and self._total:
            self._draw(self._total)
        self._out.write("\n")
        self._out.flush()

    def _draw(self, position: int) -> None:
        line = self._line(position)
        if line != self._shown:
            self._out.write(f"\r{line}\x1b[K")
            self._out.flush()
            self._shown = line

    def _line(self, position: int) -> str:
        columns = _size().columns - 1
        if not self._total:
            return f"{position} characters"[:columns]
        share = min(1.0, position / self._total)
        figures = f" {share:4.0%}"
        cells = max(0, min(60, columns - len(figures) - 2))
        full = round(share * cells)
        return f"[{'#' * full}{'-' * (cells - full)}]{figures}"[:columns]


def _size() -> os.terminal_size:
    """Columns and lines of the terminal on stderr, wherever stdout goes."""
    try:
        size = os.get_terminal_size(2)
    except OSError:
        return os.terminal_size((80, 24))
    return size if size.columns > 1 and size.lines > 1 else os.terminal_size((80, 24))
