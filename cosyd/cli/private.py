"""A daemon of one's own, for when the shared one cannot be used: it ends with the command.

It serves exactly one connection, a socketpair, and listens nowhere, so it needs no directory
that can be written and no lock.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from typing import Final

from cosyd import config, paths
from cosyd.client.autostart import Dialler
from cosyd.client.channel import Channel
from cosyd.client.sync import Client
from cosyd.errors import Unreachable
from cosyd.wire.connection import ClientConnection

_CONNECTION_FD: Final = 3
_FREE_FD: Final = 10
"""Above the number that the daemon's descriptor gets."""
_TIMEOUT_S: Final = 15.0


def open_private() -> Client:
    """A client of a new private daemon.

    Raises:
        Unreachable: it cannot be started. That it ends at once shows at the first answer.
        ConfigError: it would end over that.
    """
    config.load(os.environ, file=paths.config_file(os.environ))
    return Client(core := ClientConnection("cosy"), Channel(core, _Spawner(), _TIMEOUT_S))


class _Spawner(Dialler):
    """Starts the private daemon, once."""

    def __init__(self) -> None:
        self._started = False

    def __call__(self) -> socket.socket:
        """The connected end."""
        if self._started:
            raise self.hung_up()
        self._started = True
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                _spawn(theirs.fileno())
            except OSError as error:
                ours.close()
                raise Unreachable(f"cannot start {sys.executable}: {error.strerror}") from error
        return ours

    def hung_up(self) -> Unreachable:
        """The error for a daemon that ends before it has said anything."""
        command = f"{sys.executable} -P -m cosyd.daemon --help"
        return Unreachable(f"cosyd cannot run here: type `{command}` to see why")


def _spawn(connection: int) -> None:
    high = fcntl.fcntl(connection, fcntl.F_DUPFD_CLOEXEC, _FREE_FD)
    try:
        os.posix_spawn(
            sys.executable,
            [
                *(sys.executable, "-P", "-m", "cosyd.daemon"),
                f"--connection-fd={_CONNECTION_FD}",
            ],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
                (os.POSIX_SPAWN_DUP2, high, _CONNECTION_FD),
            ],
            setsid=True,  # Ctrl-C is for us: it ends when we hang up
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )
    finally:
        os.close(high)
