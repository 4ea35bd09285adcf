"""What the displays write, read back by a small terminal."""

from __future__ import annotations

import io
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.cli import show
from cosyd.cli.show import Bar, Highlighter, cell_width, lay_out

TEXT = st.text(alphabet="abc é中😀\n\t\x1b", max_size=120)


class Terminal:
    """As much of a terminal as the displays use: rows, the cursor, and which cells are marked."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.rows: list[list[tuple[str, bool]]] = [[]]
        self.row = self.column = 0
        self.marked = False
        self.wrapped = False

    def feed(self, data: str) -> None:
        for token in re.findall(r"\x1b\[\d*[A-Za-z]|\x1b.?|.", data, re.DOTALL):
            self._take(token)

    def _take(self, token: str) -> None:
        if token.startswith("\x1b"):
            self._control(token)
        elif token == "\r":
            self.column = 0
        elif token == "\n":
            self.row, self.column = self.row + 1, 0
            while len(self.rows) <= self.row:
                self.rows.append([])
        else:
            self._put(token)

    def _control(self, token: str) -> None:
        found = re.fullmatch(r"\x1b\[(\d*)([A-Za-z])", token)
        assert found, f"an escape sequence came through: {token!r}"
        count = int(found[1] or 1)
        if found[2] == "A":
            top = max(0, len(self.rows) - self.lines)
            assert self.row - count >= top, "went above the screen"
            self.row -= count
        elif found[2] == "C":
            self.column += count
        elif found[2] == "J":
            del self.rows[self.row + 1 :]
            del self.rows[self.row][self.column :]
        elif found[2] == "K":
            del self.rows[self.row][self.column :]
        elif found[2] == "m":
            self.marked = found[1] not in ("", "0")

    def _put(self, character: str) -> None:
        row = self.rows[self.row]
        row.extend([(" ", False)] * (self.column - len(row)))
        row[self.column : self.column + 1] = [(character, self.marked)]
        for _ in range(cell_width(character) - 1):
            row.append(("", self.marked))
        self.column += cell_width(character)
        self.wrapped = self.wrapped or self.column >= self.columns

    def text(self) -> str:
        return "\n".join("".join(c for c, _ in row).rstrip() for row in self.rows)

    def highlighted(self) -> str:
        return "".join(c for row in self.rows for c, marked in row if marked)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    size = os.terminal_size((20, 6))
    monkeypatch.setattr(show, "_size", lambda: size)
    return Terminal(*size)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(TEXT, st.integers(0, 30), st.integers(2, 30))
def test_rows_fit_and_lose_only_spaces(text: str, column: int, width: int) -> None:
    column = min(column, width)
    rows = lay_out(text, column, width)
    widths = [sum(map(cell_width, row)) for row in rows]
    assert widths[0] <= max(0, width - column)
    assert all(each <= width for each in widths)
    assert squeezed("".join(rows)) == squeezed(text.replace("\x1b", " "))


def test_rows_break_at_spaces_and_between_chinese_characters() -> None:
    assert lay_out("one two three", 0, 8) == ["one two ", "three"]
    assert lay_out("你好世界", 0, 5) == ["你好", "世界"]
    assert lay_out("abcdefgh", 0, 3) == ["abc", "def", "gh"]
    assert lay_out("word", 6, 8) == ["", "word"]


SENTENCES = [
    "A first one. ",
    "This sentence is quite a bit longer than one row is. ",
    "Short.\n\n",
    "你好世界, and \x1b[31mred\x1b[0m tricks with a\ttab. ",
    "Now one that is far longer than the whole screen with its six lines of twenty columns is, "
    "so that its beginning has scrolled away when its end is being shown to whoever reads along. ",
    "The end.",
]


def test_the_sentence_that_is_heard_is_marked_and_the_text_stays(terminal: Terminal) -> None:
    out = io.StringIO()
    display = Highlighter(out, "\x1b[7m")
    text, start, fed = "".join(SENTENCES), 0, 0
    for sentence in SENTENCES:
        display.sentence(text, start, start + len(sentence.rstrip()))
        terminal.feed(out.getvalue()[fed:])
        fed = len(out.getvalue())
        shown = squeezed(terminal.highlighted())
        assert shown.endswith(squeezed(sentence.replace("\x1b", "")))
        start += len(sentence)
    display.close(True)
    terminal.feed(out.getvalue()[fed:])
    assert squeezed(terminal.text()) == squeezed(text.replace("\x1b", ""))
    assert not terminal.wrapped
    assert out.getvalue().endswith("\n")


def test_only_rows_that_have_scrolled_off_stay_marked(terminal: Terminal) -> None:
    out = io.StringIO()
    display = Highlighter(out, "\x1b[7m")
    text = "one two three four five. " * 3
    for start in (0, 25, 50):
        display.sentence(text, start, start + 24)
    display.close(True)
    terminal.feed(out.getvalue())
    assert terminal.highlighted() == ""


@pytest.mark.usefixtures("terminal")
def test_a_terminal_that_knows_no_escapes_gets_plain_text() -> None:
    out = io.StringIO()
    display = Highlighter(out, "")
    display.sentence("One. Two.", 0, 4)
    display.sentence("One. Two.", 5, 9)
    display.close(True)
    assert out.getvalue() == "One. Two.\n"


def test_the_bar_follows_the_position_and_fits(terminal: Terminal) -> None:
    out = io.StringIO()
    bar = Bar(out, 200)
    bar.sentence("", 100, 200)
    assert "50%" in out.getvalue().rpartition("\r")[2]
    bar.close(True)
    terminal.feed(out.getvalue())
    assert terminal.text().startswith("[############] 100%")
    assert not terminal.wrapped


@pytest.mark.usefixtures("terminal")
def test_a_bar_without_a_known_end_counts_characters() -> None:
    out = io.StringIO()
    Bar(out, None).sentence("", 123, 200)
    assert "123 characters" in out.getvalue()
