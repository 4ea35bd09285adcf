"""Listening sockets that a service manager made for us: systemd's protocol, and launchd's call."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, MutableMapping
from typing import Final

FIRST_FD: Final = 3
"""Where systemd puts what it passes (SD_LISTEN_FDS_START)."""
NAME: Final = "cosyd"
"""FileDescriptorName= in cosyd.socket."""
LAUNCHD_NAME: Final = "Listeners"
"""The key under Sockets in the property list."""
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_ESRCH: Final = 3
_ENOENT: Final = 2


class ActivationError(OSError):
    """What was passed cannot be listened on; the message says what to mend."""


def from_systemd(env: MutableMapping[str, str], pid: int) -> socket.socket | None:
    """The listening socket that systemd passed; None if it passed nothing to this process.

    The variables are taken out of `env`, so that no child takes them for its own.

    Raises:
        ActivationError: none of what was passed can be listened on.
    """
    told = {name: env.pop(name, "") for name in _VARIABLES}
    count = int(told["LISTEN_FDS"]) if told["LISTEN_FDS"].isdecimal() else 0
    if told["LISTEN_PID"] != str(pid) or count == 0:
        return None
    for descriptor in range(FIRST_FD, FIRST_FD + count):
        os.set_inheritable(descriptor, False)  # not even those that are not for us
    names = told["LISTEN_FDNAMES"].split(":") if told["LISTEN_FDNAMES"] else []
    if len(names) == count and count > 1:
        found = [FIRST_FD + n for n, name in enumerate(names) if name == NAME]
    else:
        found = list(range(FIRST_FD, FIRST_FD + count))
    return _only(found, "systemd", "one ListenStream= in cosyd.socket")


def from_launchd(name: str = LAUNCHD_NAME) -> socket.socket | None:
    """The listening socket that launchd made; None if launchd did not start this process.

    Raises:
        ActivationError: launchd refused for another reason.
    """
    import ctypes

    library = ctypes.CDLL(None)  # macOS: libSystem, where the call lives
    try:
        activate = library.launch_activate_socket
    except AttributeError:  # not macOS
        return None
    descriptors = ctypes.POINTER(ctypes.c_int)()
    count = ctypes.c_size_t()
    activate.argtypes = (
        *(ctypes.c_char_p, ctypes.POINTER(ctypes.POINTER(ctypes.c_int))),
        ctypes.POINTER(ctypes.c_size_t),
    )
    activate.restype = ctypes.c_int
    error: int = activate(name.encode(), ctypes.byref(descriptors), ctypes.byref(count))
    if error in (_ESRCH, _ENOENT):
        return None
    if error:
        raise ActivationError(f"launchd passes no socket {name!r}: {os.strerror(error)}")
    found = [descriptors[n] for n in range(count.value)]
    library.free.argtypes, library.free.restype = (ctypes.c_void_p,), None
    library.free(descriptors)
    for descriptor in found:
        os.set_inheritable(descriptor, False)
    return _only(found, "launchd", f"one entry {name} under Sockets")


def _only(descriptors: Iterable[int], giver: str, want: str) -> socket.socket:
    found = list(descriptors)
    if len(found) != 1:
        raise ActivationError(f"{giver} passed {len(found)} sockets of ours: put {want}")
    return _checked(found[0], giver)


def _checked(descriptor: int, giver: str) -> socket.socket:
    """Whatever else it is, accepting on it would fail later, and less clearly."""
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ActivationError(
            f"descriptor {descriptor} from {giver} is no socket: {error.strerror}"
        ) from error
    listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if found.family != socket.AF_UNIX or found.type != socket.SOCK_STREAM or not listens:
        found.detach()  # not ours to close
        raise ActivationError(
            f"descriptor {descriptor} from {giver} is no listening Unix stream socket: "
            "give cosyd.socket a ListenStream= with a path, and Accept=no"
        )
    return found


def path_of(listener: socket.socket) -> str:
    """The path that `listener` is bound to."""
    name: str | bytes = listener.getsockname()
    return name if isinstance(name, str) else os.fsdecode(name)
