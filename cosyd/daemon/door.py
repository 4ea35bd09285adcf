"""What happens to the listening socket when the daemon ends, or almost did.

One of our own is closed to newcomers, and its file removed. One that a service manager made is
its manager's: we only look away, and whoever comes then waits in it for the next daemon.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Protocol

from cosyd.rendezvous import listen_at


class Door(Protocol):
    """The end of one kind of listening socket."""

    inherited: bool

    def refuse(self, listener: socket.socket) -> None:
        """Let nobody in any more; who waits already can still be accepted."""

    def reopen(self, listener: socket.socket) -> socket.socket | None:
        """After `refuse`: a socket on which they can come again; None if there can be none."""

    def remove(self) -> None:
        """Leave nothing behind."""


class OwnDoor:
    """A socket that we, or the client that started us, put at `path`."""

    inherited = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = _identity(path)

    def refuse(self, listener: socket.socket) -> None:
        """Connects fail from now on."""
        with suppress(OSError):  # macOS: ENOTCONN; there a client that is reset tries again
            listener.shutdown(socket.SHUT_RD)

    def reopen(self, listener: socket.socket) -> socket.socket | None:
        """A new socket in the old one's place, unless something else has taken the place."""
        listener.close()
        if not self._is_ours():
            return None
        anew = listen_at(self._path)
        self._identity = _identity(self._path)
        return anew

    def remove(self) -> None:
        """Unlink the file, if it is still the one we listen on."""
        if self._is_ours():
            with suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108 - a path as bytes on the wire, not a Path

    def _is_ours(self) -> bool:
        """A service manager that begins to listen at the path replaces the file."""
        found = _identity(self._path)
        return found is not None and found == self._identity


class InheritedDoor:
    """A socket that systemd or launchd holds: never shut, never unlinked."""

    inherited = True

    def refuse(self, listener: socket.socket) -> None:
        """Nothing to do: who comes now gets the next daemon."""

    def reopen(self, listener: socket.socket) -> socket.socket | None:
        """The same one."""
        return listener

    def remove(self) -> None:
        """It stays."""


class NoDoor(InheritedDoor):
    """A daemon that serves one connection listens nowhere."""


def _identity(path: str) -> tuple[int, int, int] | None:
    """Tells this file from another one that comes to the same path; a chmod changes none of it."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path as bytes on the wire, not a Path
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
