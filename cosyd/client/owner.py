"""Whether systemd listens at the socket's path: then nobody else may, and it starts the daemon.

Only looked at where no daemon answers, or where connecting would start one for nothing.
"""

from __future__ import annotations

# pathlib takes as long to import as all of Python's own start:
# ruff: noqa: PTH110, PTH111, PTH117, PTH118, PTH123
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

SOCKET_UNIT: Final = "cosyd.socket"
SERVICE_UNIT: Final = "cosyd.service"
_GLOBAL: Final = "/etc/systemd/user"


def unit_dir(env: Mapping[str, str]) -> str:
    """Where a user's own units are."""
    home = env.get("XDG_CONFIG_HOME", "")
    home = home if os.path.isabs(home) else os.path.expanduser("~/.config")
    return os.path.join(home, "systemd", "user")


def systemd_listens_at(path: str, env: Mapping[str, str]) -> bool:
    """Whether cosyd.socket is enabled and has `path`. Asks only the disk."""
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if sys.platform != "linux" or not runtime:
        return False
    if not os.path.exists(os.path.join(runtime, "systemd", "private")):
        return False  # there is no systemd of this user's to ask
    for folder in (unit_dir(env), _GLOBAL):
        with (
            suppress(OSError),
            open(
                os.path.join(folder, "sockets.target.wants", SOCKET_UNIT), encoding="utf-8"
            ) as unit,
        ):
            return any(_listens(line, path, runtime) for line in unit)
    return False


def is_asleep(path: str, env: Mapping[str, str]) -> bool:
    """Whether systemd listens at `path` and has no daemon running: connecting would start one."""
    if not systemd_listens_at(path, env):
        return False
    state = _systemctl("show", "--property=ActiveState", "--value", SERVICE_UNIT)
    return state in ("inactive", "failed")


def wake_socket() -> None:
    """Let systemd listen, if it does not: at login, or after somebody stopped its socket."""
    _systemctl("start", SOCKET_UNIT)


def _listens(line: str, path: str, runtime: str) -> bool:
    name, _, value = line.strip().partition("=")
    if name != "ListenStream":
        return False
    percent = "\0"  # no path holds it
    expanded = value.strip().replace("%%", percent).replace("%t", runtime).replace(percent, "%")
    return expanded == path


def _systemctl(*arguments: str) -> str:
    """What `systemctl --user` prints; "" if it cannot run. (subprocess takes 10 ms to import.)"""
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as answer:
        try:
            pid = os.posix_spawnp(
                "systemctl",
                ["systemctl", "--user", "--quiet", *arguments],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, writer, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                ],
            )
        except OSError:
            return ""
        finally:
            os.close(writer)
        printed = answer.read().strip()
    with suppress(ChildProcessError):  # the program around us collects its children itself
        os.waitpid(pid, 0)
    return printed
