"""Where clients and the daemon meet: the socket's directory, its lock file, the socket itself."""

from __future__ import annotations

# pathlib takes as long to import as all of Python's own start:
# ruff: noqa: PTH101, PTH103, PTH104, PTH108, PTH116, PTH118, PTH119, PTH120
import fcntl
import os
import socket
import stat
import struct
import sys
from contextlib import suppress
from itertools import count
from typing import Final

from cosyd.errors import Forbidden, Unreachable

BACKLOG: Final = 128

_SOL_LOCAL: Final = 0
_LOCAL_PEERCRED: Final = 1
"""macOS names; Python knows neither."""

_counter = count()


def check_socket(path: str) -> None:
    """Raise `Forbidden` if something other than a socket of our own is at `path`."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Forbidden(f"{path} is no socket: remove it, or set COSYD_SOCKET to another path")
    if found.st_uid != os.getuid():
        raise Forbidden(f"{path} belongs to somebody else: set COSYD_SOCKET to another path")


def prepare_directory(path: str) -> None:
    """Make the socket's directory, for us alone.

    Raises:
        Forbidden: it is somebody else's, or others may look into it.
        Unreachable: it cannot be made.
    """
    folder = os.path.dirname(path) or "."
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        found = os.stat(folder)
        if stat.S_IMODE(found.st_mode) & 0o077 and _is_our_own(folder, found):
            os.chmod(folder, 0o700)
            found = os.stat(folder)
    except OSError as error:
        raise Unreachable(
            f"cannot make {folder}: {error.strerror}; set COSYD_SOCKET to a path you may write"
        ) from error
    if found.st_uid != os.getuid() or _others_may_swap(folder):
        raise Forbidden(f"{folder} belongs to somebody else: set COSYD_SOCKET to another place")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Forbidden(f"others may look into {folder}: type `chmod 700 {folder}`")


def listen_at(path: str) -> socket.socket:
    """A listening socket at `path`, 0600, put there whole: the path never refuses meanwhile."""
    private = os.path.join(os.path.dirname(path), f".{os.getpid():x}{next(_counter):x}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o077)
    try:
        _unlink(private)
        listener.bind(private)
        os.chmod(private, 0o600)
        listener.listen(BACKLOG)
        os.rename(private, path)
    except OSError:
        listener.close()
        _unlink(private)
        raise
    finally:
        os.umask(mask)
    return listener


def own_lock(path: str) -> int | None:
    """The lock file's descriptor, locked; None if somebody has the lock.

    The file is never removed, so that all who lock it lock the same one.

    Raises:
        Unreachable: it cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(f"{path}.lock", flags, 0o600)
    except OSError as error:
        raise Unreachable(
            f"cannot open {path}.lock: {error.strerror}; set COSYD_SOCKET to a path you may write"
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def peer_uid(connection: socket.socket) -> int:
    """The user id of the process at the other end."""
    if sys.platform == "linux":
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("iII", packed)[1])
    packed = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)  # struct xucred
    return int(struct.unpack("II", packed[:8])[1])


def _is_our_own(folder: str, found: os.stat_result) -> bool:
    """Whether `folder` is the one that cosyd makes, so that its mode is ours to mend."""
    return os.path.basename(folder) == "cosyd" and found.st_uid == os.getuid()


def _others_may_swap(folder: str) -> bool:
    """Whether somebody else could put another directory in the place of `folder`."""
    parent = os.stat(os.path.join(folder, os.pardir))
    open_to_all = parent.st_mode & stat.S_IWOTH and not parent.st_mode & stat.S_ISVTX
    return parent.st_uid not in (0, os.getuid()) or bool(open_to_all)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
