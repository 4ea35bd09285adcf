"""`cosy logs`: the daemon's log, wherever whoever started the daemon keeps it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from cosyd.cli.failure import DONE, Failure
from cosyd.cli.reach import reach_running
from cosyd.client.owner import SERVICE_UNIT, unit_dir
from cosyd.errors import CosydError

LINES: Final = 50
LOOK_AGAIN_S: Final = 0.2
"""Files give no event that every system can wait for."""
_BLOCK_BYTES: Final = 65_536

Pause = Callable[[], None]


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on: show what is logged from now on too.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=LINES, show_default=True, metavar="N",
    help="How many of the last lines.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON object a line.")
def command(follow: bool, lines: int, as_json: bool) -> int:
    """Show the daemon's log: the journal's if systemd starts the daemon, else the log file's.

    \b
    Example:
      cosy logs -f
    """
    if journal_keeps_it():
        _journal(follow, lines, as_json)
    return _file(follow, lines, as_json)


def journal_keeps_it() -> bool:
    """Whether the daemon's log goes to the journal: as it runs, else as it is installed."""
    with suppress(CosydError):  # one that cannot be asked has a log all the same
        if (client := reach_running()) is not None:
            with client:
                return bool(client.status()["activation"] == "systemd")
    return sys.platform == "linux" and Path(unit_dir(os.environ), SERVICE_UNIT).exists()


def _journal(follow: bool, lines: int, as_json: bool) -> None:
    """Become journalctl.

    Raises:
        Failure: there is none.
    """
    program = shutil.which("journalctl")
    if program is None:
        raise Failure("systemd starts the daemon, but there is no journalctl: is PATH complete?")
    form = "json" if as_json else "short-iso"
    arguments = ["--user", f"--unit={SERVICE_UNIT}", f"--lines={lines}", f"--output={form}"]
    os.execv(program, ["journalctl", *arguments, "--no-pager", *(["--follow"] * follow)])


def _file(follow: bool, lines: int, as_json: bool) -> int:
    from cosyd import config, paths

    path = paths.log_file(config.load(os.environ, file=paths.config_file(os.environ)))
    show = for_programs if as_json else for_people
    if not follow and not os.access(path, os.F_OK):
        raise Failure(f"nothing was logged yet at {path}: say something first")
    for line in read(Path(path), lines, follow, lambda: time.sleep(LOOK_AGAIN_S)):
        click.echo(show(line))
    return DONE


def read(path: Path, lines: int, follow: bool, pause: Pause) -> Iterator[str]:
    """The last `lines` lines, then with `follow` what comes, without end.

    A file that is replaced (another inode) or cut off is read on from its beginning; nothing
    that was written to the old one before is lost. `pause` is called before looking again.
    """
    while True:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            if not follow:
                return
            lines = sys.maxsize  # what appears now is all new
            pause()
            continue
        with file:
            _seek_last(file, lines)
            yield from _lines(file, partial(_wait, file, path, pause) if follow else None)
        if not follow:
            return
        lines = sys.maxsize


def _seek_last(file: BinaryIO, lines: int) -> None:
    """Put `file` where its last `lines` lines begin."""
    end = position = file.seek(0, os.SEEK_END)
    found = b""
    while position > 0 and found.count(b"\n", 0, -1) < lines:
        position = max(0, position - _BLOCK_BYTES)
        file.seek(position)
        found = file.read(end - position)
    pieces = found.splitlines(keepends=True)
    wanted = pieces[len(pieces) - lines :] if lines < len(pieces) else pieces
    file.seek(end - sum(map(len, wanted)) if lines else end)


def _lines(file: BinaryIO, more: Callable[[], bool] | None) -> Iterator[str]:
    """Whole lines; `more` waits for another and says whether this file can still have one."""
    rest = b""
    while True:
        piece = file.readline()
        rest += piece
        if rest.endswith(b"\n") or (not piece and rest and more is None):
            yield rest.rstrip(b"\n").decode("utf-8", "replace")
            rest = b""
        elif not piece and (more is None or not more()):
            break
    if rest:
        yield rest.decode("utf-8", "replace")


def _wait(file: BinaryIO, path: Path, pause: Pause) -> bool:
    """Wait a little; False once `path` is another file and all of this one was read."""
    try:
        now = path.stat()
    except FileNotFoundError:  # moved away, and still written to until there is a new one
        now = None
    here = os.fstat(file.fileno())
    replaced = now is not None and not os.path.samestat(now, here)
    if here.st_size < file.tell():  # cut off: begin again
        file.seek(0)
    elif here.st_size == file.tell():
        if replaced:
            return False
        pause()
    return True


def for_programs(line: str) -> str:
    """The line as JSON: what is none becomes an object with `text`."""
    return line if _fields(line) is not None else json.dumps({"text": line}, ensure_ascii=False)


def for_people(line: str) -> str:
    """The line without JSON: time, level, event, then `name=value`."""
    fields = _fields(line)
    if fields is None or "event" not in fields:
        return line
    head = [str(fields.pop(name)) for name in ("ts", "level", "event") if name in fields]
    for name in ("logger", "process"):
        fields.pop(name, None)
    return " ".join([*head, *(f"{name}={_value(value)}" for name, value in fields.items())])


def _fields(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if " " in text else text
