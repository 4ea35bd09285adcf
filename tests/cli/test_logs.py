"""`cosy logs`: the end of a file, files that are replaced while they are followed, the journal."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.cli.logs import for_people, for_programs, read

LINE = (
    '{"ts": "T", "level": "info", "logger": "l", "process": 1, "event": "said", "chars": 5, '
    '"x": "a b"}'
)


class Script:
    """What happens to the file while a follower waits; ends the test when nothing is left."""

    class Over(Exception):
        """Nothing happens any more."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps: Iterator[Callable[[], object]] = iter(steps)

    def __call__(self) -> None:
        for step in self._steps:
            step()
            return
        raise Script.Over


def followed(path: Path, lines: int, *steps: Callable[[], object]) -> list[str]:
    seen: list[str] = []
    with pytest.raises(Script.Over):  # it never ends by itself
        seen.extend(read(path, lines, True, Script(*steps)))
    return seen


def append(path: Path, text: str) -> Callable[[], object]:
    def step() -> None:
        with path.open("a") as file:
            file.write(text)

    return step


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=30)),
    st.integers(0, 20),
)
def test_the_last_lines_of_any_file(lines: list[str], wanted: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
        assert list(read(path, wanted, False, Script())) == (lines[-wanted:] if wanted else [])


def test_a_file_of_many_blocks_and_a_last_line_without_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [f"{number:050}" for number in range(5000)]
    path.write_text("\n".join(lines))
    assert list(read(path, 3000, False, Script())) == lines[-3000:]


def test_what_is_written_later_is_shown_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\n")
    steps = (append(path, "c\nd"), append(path, "d\n"))
    assert followed(path, 1, *steps) == ["b", "c", "dd"]


def test_a_file_that_is_replaced_is_read_to_its_end_then_the_new_one(tmp_path: Path) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"
    path.write_text("a\n")

    def rotate() -> None:
        path.rename(old)
        append(old, "late\n")()

    assert followed(path, 9, rotate, append(path, "b\n"), append(path, "c\n")) == [
        *("a", "late", "b", "c"),
    ]


def test_a_file_that_is_cut_off_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a long first line\n")
    assert followed(path, 9, lambda: path.write_text("b\n")) == ["a long first line", "b"]


def test_a_file_that_appears_while_it_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert followed(path, 0, lambda: None, append(path, "a\n")) == ["a"]


def test_lines_for_people() -> None:
    assert for_people(LINE) == 'T info said chars=5 x="a b"'
    assert for_people("Traceback (most recent call last):") == "Traceback (most recent call last):"
    assert for_people("17") == "17"


def test_lines_for_programs() -> None:
    assert for_programs(LINE) == LINE
    assert json.loads(for_programs("plain é")) == {"text": "plain é"}


def test_the_log_of_a_daemon_that_a_client_started(cosy: Any) -> None:
    cosy("say", "-o", "-", "Hello.")
    told = cosy("logs", "-n", "100")
    assert (told.returncode, told.stderr) == (0, b"")
    assert b"listening" in told.stdout
    cosy("daemon", "stop")  # so that it writes nothing meanwhile
    assert len(cosy("logs", "-n", "2").stdout.splitlines()) == 2
    for line in cosy("logs", "--json").stdout.splitlines():
        json.loads(line)


def test_following_goes_on_until_ctrl_c(cosy: Any) -> None:
    import signal

    cosy("say", "-o", "-", "Hello.")
    with cosy.start("logs", "-f", "-n", "1") as following:
        try:
            assert following.stdout.readline()
            cosy("say", "-o", "-", "Hello.")
            while b"ended" not in following.stdout.readline():
                pass
            following.send_signal(signal.SIGINT)
            assert following.wait(30) == 130
        finally:
            following.kill()


def test_nothing_was_logged_yet(fresh: Any) -> None:
    told = fresh("logs")
    assert told.returncode == 1
    assert told.stderr.startswith(b"cosy: nothing was logged yet")


@pytest.mark.parametrize("follow", [False, True])
def test_under_systemd_it_is_the_journals(fresh: Any, tmp_path: Path, follow: bool) -> None:
    units = tmp_path / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "cosyd.service").write_text("[Service]\n")
    program = tmp_path / "journalctl"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    env = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": str(tmp_path)}
    told = fresh("logs", "-n", "7", *(["-f"] if follow else []), env=env)
    words = told.stdout.decode().split()
    assert {"--user", "--unit=cosyd.service", "--lines=7"} <= set(words)
    assert ("--follow" in words) == follow
    (tmp_path / "journalctl").unlink()
    assert b"no journalctl" in fresh("logs", env=env).stderr
