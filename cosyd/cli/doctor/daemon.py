"""Checks of the configuration, the socket, the daemon behind it, and the service units."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosyd import config as settings
from cosyd.cli.doctor.finding import Finding, Patient
from cosyd.cli.human import duration
from cosyd.client.owner import is_asleep
from cosyd.config import ConfigError
from cosyd.errors import CosydError
from cosyd.paths import SOCKET_PATH_MAX, config_file, socket_path
from cosyd.version import VERSION

ANSWER_S = 5.0


def configuration(patient: Patient) -> Iterator[Finding]:
    """Whether file and environment can be read."""
    path = config_file(patient.env)
    try:
        settings.load(patient.env, file=path)
    except ConfigError as error:
        yield Finding("bad", str(error), "cosy config edit")
        return
    exists = path is not None and Path(path).exists()
    yield Finding("ok", path or "" if exists else "no file: defaults and environment")


def place(patient: Patient) -> Iterator[Finding]:
    """Where the socket is: path, directory, what lies there."""
    path = socket_path(patient.config)
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_MAX:
        yield Finding(
            "bad",
            f"the socket's path has {length} bytes, {SOCKET_PATH_MAX} are allowed: {path}",
            "set COSYD_SOCKET to a shorter one",
        )
        return
    folder = Path(path).parent
    if not folder.exists():
        yield from _to_be_made(folder)
        return
    found = folder.stat()
    if found.st_uid != os.getuid():
        yield Finding(
            "bad", f"{folder} belongs to another user", "set COSYD_SOCKET to a place of your own"
        )
    elif stat.S_IMODE(found.st_mode) & 0o077:
        yield Finding("bad", f"others may look into {folder}", f"chmod 700 {folder}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("bad", f"{folder} cannot be written", f"chmod 700 {folder}")
    else:
        yield Finding("ok", path)
        yield from _what_lies_there(Path(path))


def _to_be_made(folder: Path) -> Iterator[Finding]:
    parent = next(path for path in folder.parents if path.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        yield Finding("ok", f"{folder} will be made when needed")
    else:
        yield Finding(
            "bad",
            f"{folder} cannot be made: {parent} is not yours",
            "log in so that XDG_RUNTIME_DIR is right, or set COSYD_SOCKET",
        )


def _what_lies_there(path: Path) -> Iterator[Finding]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        yield Finding("bad", f"{path} is no socket", f"rm {path}")
    elif stat.S_IMODE(found.st_mode) & 0o077:
        yield Finding("bad", f"others may connect to {path}", f"chmod 600 {path}")


def answers(patient: Patient) -> Iterator[Finding]:
    """Whether a daemon runs, answers, and is of this version."""
    path = socket_path(patient.config)
    if is_asleep(path, patient.env):
        yield Finding("ok", "no daemon runs; systemd starts it at the first request")
        return
    if not _somebody_listens(path):
        if _lock_is_held(f"{path}.lock"):
            yield Finding(
                "bad",
                "a daemon holds the lock and listens no more",
                f"see `cosy logs`; end it with `fuser -k {path}.lock`",
            )
        elif os.access(path, os.F_OK):
            yield Finding("ok", "no daemon runs; the socket it left is replaced at the next start")
        else:
            yield Finding("ok", "no daemon runs; it starts by itself")
        return
    try:
        status = _status(path)
    except CosydError as error:
        yield Finding("bad", f"the daemon does not answer: {error}", "cosy daemon restart --now")
        return
    if status["version"] != VERSION:
        yield Finding(
            "warn",
            f"the daemon is cosyd {status['version']}, this command {VERSION}",
            "cosy daemon restart",
        )
    else:
        up = duration(status["uptime_s"])
        yield Finding("ok", f"daemon {VERSION} answers, process {status['pid']}, up {up}")
    yield from _models_in_trouble(status["models"])


def _models_in_trouble(models: list[dict[str, Any]]) -> Iterator[Finding]:
    for model in models:
        if model.get("fault"):
            yield Finding("bad", model["fault"], "see `cosy logs`")
        elif model["restarts"]:
            lost = f"{model['model']} was lost {model['restarts']} times since the daemon started"
            yield Finding("warn", lost, "see `cosy logs`")


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_S)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _lock_is_held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _status(path: str) -> dict[str, Any]:
    from cosyd.client.sync import connect

    with connect(path, autostart=False, timeout=ANSWER_S, client="cosy doctor") as client:
        return client.status()
