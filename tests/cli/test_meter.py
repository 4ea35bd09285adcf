"""How far a transfer is: on a terminal, in a file, nowhere."""

from __future__ import annotations

import io

import pytest

from cosyd.cli.meter import Meter

MB = 1_000_000


class Terminal(io.StringIO):
    """One that says what it is."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def test_a_row_with_share_rate_and_time_left() -> None:
    out, clock = Terminal(), Clock()
    meter = Meter(out, clock, columns=100)
    meter("a.pt", 40 * MB, 100 * MB)  # these were there before
    assert out.getvalue() == f"\ra.pt  [{'#' * 8}{'-' * 12}]  40% of 100 MB\x1b[K"
    clock.now = 2.0
    meter("b.pt", 50 * MB, 100 * MB)
    assert out.getvalue().endswith(
        "b.pt  [##########----------]  50% of 100 MB  5 MB/s  10 s left\x1b[K"
    )
    meter.close()
    assert out.getvalue().endswith("\r\x1b[K")


def test_the_rate_is_that_of_the_last_seconds() -> None:
    out, clock = Terminal(), Clock()
    meter = Meter(out, clock, columns=100)
    for second in range(100):
        clock.now = float(second)
        slow = max(0, second - 40)
        meter("a.pt", (min(second, 40) * 10 + slow) * MB, 1000 * MB)
    assert "1 MB/s" in out.getvalue().split("\r")[-1]


def test_no_terminal_is_drawn_on_too_often() -> None:
    out, clock = Terminal(), Clock()
    meter = Meter(out, clock, columns=100)
    for piece in range(1000):
        clock.now += 0.001
        meter("a.pt", piece, 1000)
    assert out.getvalue().count("\r") == 5
    meter("a.pt", 1000, 1000)
    assert "100% of" in out.getvalue().split("\r")[-1]


def test_a_row_is_never_longer_than_the_terminal() -> None:
    out = Terminal()
    Meter(out, Clock(), columns=30)("a-file-with-a-long-name.safetensors", 1, 2)
    assert len(out.getvalue().removeprefix("\r").removesuffix("\x1b[K")) == 29


@pytest.mark.parametrize("dumb", [True, False])
def test_elsewhere_a_line_for_each_file_that_came(
    monkeypatch: pytest.MonkeyPatch, dumb: bool
) -> None:
    if dumb:
        monkeypatch.setenv("TERM", "dumb")
    out = Terminal() if dumb else io.StringIO()
    meter = Meter(out)
    meter("there.pt", 10, 100)  # was there before
    for done in (20, 30, 50):
        meter("a.pt", done, 100)
    meter("b.pt", 60, 100)
    meter.close()
    assert out.getvalue().splitlines() == [
        "there.pt is done, 10% of 100 B",
        "a.pt is done, 50% of 100 B",
    ]


def test_without_stderr_nothing_fails() -> None:
    meter = Meter(None)
    meter("a.pt", 1, 2)
    meter("b.pt", 2, 2)
    meter.close()


def test_nothing_to_fetch_is_all_of_it() -> None:
    out = Terminal()
    Meter(out, Clock(), columns=80)("a.pt", 0, 0)
    assert "100% of 0 B" in out.getvalue()
