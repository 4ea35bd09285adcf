"""The line that shows while something takes long: on a terminal only, and wiped in the end."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from cosyd.cli import patience as module
from cosyd.cli.patience import patience


class Screen(io.StringIO):
    """A terminal; tells when something was written."""

    def __init__(self, terminal: bool = True) -> None:
        super().__init__()
        self._terminal = terminal
        self.written = threading.Event()

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.01)
    monkeypatch.setattr(module, "TICK_S", 0.01)


def test_what_takes_long_is_shown_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, times = Screen(), iter([100.0, 112.0])
    monkeypatch.setattr(sys, "stderr", screen)
    with patience("Loading it", lambda: next(times, 113.0)):
        assert screen.written.wait(30)
    shown = screen.getvalue().split("\r")
    assert shown[1] == "Loading it … 12 s"
    assert shown[-2].strip() == "" and len(shown[-2]) >= len(shown[1])
    assert shown[-1] == ""


def test_what_is_quick_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(module, "QUIET_S", 60.0)
    monkeypatch.setattr(sys, "stderr", screen)
    with patience("Loading it"):
        pass
    assert screen.getvalue() == ""


@pytest.mark.parametrize("stderr", [Screen(terminal=False), None])
def test_nothing_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, stderr: Screen | None
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    before = threading.active_count()
    with patience("Loading it"):
        assert threading.active_count() == before
    assert stderr is None or stderr.getvalue() == ""


def test_an_error_goes_through_and_the_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    before = threading.active_count()
    with pytest.raises(KeyError), patience("Loading it"):
        raise KeyError
    assert threading.active_count() == before
