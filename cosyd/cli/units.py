"""What `cosy install` writes: service units with this installation's paths, manuals, completion."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

import cosyd
from cosyd.cli.failure import Failure
from cosyd.paths import SOCKET_PATH_MAX

LABEL: Final = "org.cosyd"
_PYTHON: Final = "/usr/bin/python3"
"""In the units as they are shipped."""
_SOCKET: Final = "%t/cosyd/cosyd.sock"
_UNFIT: Final = frozenset("$\"'\\\n\r\t")
"""systemd reads these as syntax."""


class File(NamedTuple):
    """A file to be."""

    path: Path
    text: str


class Place(NamedTuple):
    """What the units name of this installation; absolute paths."""

    python: str
    socket: str
    runtime: str
    """$XDG_RUNTIME_DIR, which systemd calls %t."""
    log: str


def contrib() -> Path:
    """Where the units are as they are shipped: in the package, or beside it in a checkout."""
    package = Path(cosyd.__file__).parent
    installed = package / "contrib"
    return installed if installed.is_dir() else package.parent / "contrib"


def systemd_files(place: Place, folder: Path) -> list[File]:
    """The socket and the service.

    Raises:
        Failure: a path that a unit cannot hold.
    """
    socket = _for_systemd(place.socket)
    if place.socket == f"{place.runtime}/cosyd/cosyd.sock":
        socket = _SOCKET  # so that it is right wherever the user logs in next
    python = _for_systemd(place.python)
    start = f'"{python}"' if " " in python else python
    return [
        File(folder / "cosyd.socket", _shipped("systemd/cosyd.socket", {_SOCKET: socket})),
        File(folder / "cosyd.service", _shipped("systemd/cosyd.service", {_PYTHON: start})),
    ]


def launchd_files(place: Place, folder: Path) -> list[File]:
    """The agent's property list; launchd expands neither `~` nor `$`."""
    names = {"@PYTHON@": place.python, "@SOCKET@": place.socket, "@LOG@": place.log}
    words = {name: escape(value) for name, value in names.items()}
    return [File(folder / f"{LABEL}.plist", _shipped(f"launchd/{LABEL}.plist", words))]


def this_python() -> str:
    """The interpreter that the daemon is started with.

    Raises:
        Failure: there is none, as in a program that embeds Python.
    """
    if not sys.executable:
        raise Failure("this Python does not know its own path: run cosy from its installation")
    return sys.executable


def check_socket_length(path: str) -> None:
    """Raise `Failure` for a path that no socket can have."""
    if len(path.encode()) > SOCKET_PATH_MAX:
        raise Failure(f"{path}: over {SOCKET_PATH_MAX} bytes: type `cosy config set socket PATH`")


def _shipped(name: str, words: dict[str, str]) -> str:
    text = (contrib() / name).read_text(encoding="utf-8")
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def _for_systemd(path: str) -> str:
    unfit = sorted(set(path) & _UNFIT)
    if unfit:
        raise Failure(f"{path}: a systemd unit cannot hold {unfit[0]!r}: use another directory")
    return path.replace("%", "%%")
