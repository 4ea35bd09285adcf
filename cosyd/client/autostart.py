"""Connecting to the daemon's socket, and starting the daemon if none listens there.

Of all clients that find nobody, the one that gets the lock file's lock makes the listening
socket itself and hands both to a new daemon. So everybody can connect at once (the backlog
holds them while the daemon starts), and there is never more than one daemon.
"""

from __future__ import annotations

# pathlib takes as long to import as all of Python's own start:
# ruff: noqa: PTH103, PTH105, PTH116, PTH120
import errno
import fcntl
import os
import socket
import struct
import sys
from contextlib import suppress
from time import monotonic, sleep
from typing import Final

from cosyd import config, paths
from cosyd.client import owner
from cosyd.errors import CosydError, Forbidden, Unreachable
from cosyd.rendezvous import check_socket, listen_at, own_lock, peer_uid, prepare_directory

LISTEN_FD: Final = 3
LOCK_FD: Final = 4
ATTEMPTS: Final = 5
"""Daemons that may end at once before we give up, and connections on which one may hang up."""
LOG_BYTES: Final = 5_000_000
"""A log that is longer when a daemon starts is put aside."""
_FREE_FD: Final = 10
"""Above the numbers that the daemon's descriptors get."""

_children: set[int] = set()


class Dialler:
    """Makes connections to one daemon's socket. Called by the shells, again after a hang-up."""

    def __init__(self, path: str, log_file: str, autostart: bool, timeout: float) -> None:
        self._path = path
        self._log_file = log_file
        self._autostart = autostart
        self._timeout = timeout
        self._manager_asked = False

    def __call__(self) -> socket.socket:
        """A connected socket, blocking.

        Raises:
            Unreachable: nobody answers and nobody could be started.
            Forbidden: the socket or its directory belongs to somebody else.
        """
        _reap()
        end = monotonic() + self._timeout
        if sock := self._dial(end):
            return sock
        if self._autostart:
            prepare_directory(self._path)
        elif not os.access(f"{self._path}.lock", os.F_OK):
            raise self._nobody()
        return self._dial_or_spawn(end)

    def hung_up(self) -> CosydError:
        """The error for a daemon that hangs up again and again before it has said anything."""
        return Unreachable(f"the daemon ends as soon as it starts: see {self._log_file}")

    def _dial_or_spawn(self, end: float) -> socket.socket:
        # Whoever holds the lock may be a client that is about to listen, a daemon that is about
        # to end, or one that listens anew: three events without a common one to wait for, all
        # of them a few ms away. So this waits by looking again.
        pause, spawned = 0.002, 0
        while True:
            lock = own_lock(self._path)
            try:
                if sock := self._dial(end):
                    return sock
                if lock is not None:
                    if not self._ask_manager():
                        self._spawn(lock, spawned)
                        spawned += 1
                    continue
            finally:
                if lock is not None:
                    os.close(lock)
            if monotonic() > end:
                raise Unreachable(
                    f"a daemon holds {self._path}.lock but does not answer: see {self._log_file}"
                )
            sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def _ask_manager(self) -> bool:
        """Whether systemd, which should listen here, was told to; asked once, it may be unable."""
        if self._manager_asked or not self._autostart:
            return False
        self._manager_asked = True
        if not owner.systemd_listens_at(self._path, os.environ):
            return False
        owner.wake_socket()
        return True

    def _spawn(self, lock: int, spawned: int) -> None:
        if not self._autostart:
            raise self._nobody()
        if spawned == ATTEMPTS:
            raise self.hung_up()
        spawn(self._path, lock, self._log_file)

    def _nobody(self) -> CosydError:
        return Unreachable(f"no daemon answers at {self._path}: start one with `cosyd`")

    def _dial(self, end: float) -> socket.socket | None:
        """A connected socket, None if nobody listens."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _limit_wait(sock, max(0.1, end - monotonic()))
            sock.connect(self._path)
            self._check_peer(sock)
        except OSError as error:
            sock.close()
            if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
                check_socket(self._path)
                return None
            raise _refusal(self._path, error) from error
        except CosydError:
            sock.close()
            raise
        return sock

    def _check_peer(self, sock: socket.socket) -> None:
        if peer_uid(sock) not in (0, os.getuid()):
            raise Forbidden(
                f"{self._path} is served by somebody else: set COSYD_SOCKET to another path"
            )


def dialler(path: str | None, autostart: bool, timeout: float) -> Dialler:
    """The dialler for `path`, None meaning the configured place.

    Raises:
        Unreachable: the path is longer than a socket's may be.
    """
    settings = config.load(os.environ, file=paths.config_file(os.environ))
    path = path or paths.socket_path(settings)
    if len(os.fsencode(path)) > paths.SOCKET_PATH_MAX:
        raise Unreachable(
            f"the socket's path has over {paths.SOCKET_PATH_MAX} bytes: "
            f"set COSYD_SOCKET to a shorter one than {path}"
        )
    return Dialler(path, str(paths.log_file(settings)), autostart, timeout)


def spawn(path: str, lock: int, log_file: str) -> None:
    """Start a daemon that listens at `path` and holds `lock` as long as it lives.

    Raises:
        Unreachable: it cannot be started.
    """
    try:
        with listen_at(path) as listener:
            fds = (_open_log(log_file), _above(listener.fileno()), _above(lock))
            _children.add(_spawn(path, *fds))
    except OSError as error:
        raise Unreachable(f"cannot start the daemon: {error}") from error


def _spawn(path: str, log: int, listener: int, lock: int) -> int:
    import signal

    try:
        return os.posix_spawn(
            sys.executable,
            [*_command(), f"--socket={path}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, listener, LISTEN_FD),
                (os.POSIX_SPAWN_DUP2, lock, LOCK_FD),
            ],
            setsid=True,  # a Ctrl-C in our terminal is none of its business
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )
    finally:
        for fd in (log, listener, lock):
            os.close(fd)


def _above(fd: int) -> int:
    """A copy of `fd` that no descriptor of the daemon's can be put over."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FREE_FD)


def _open_log(log_file: str) -> int:
    try:
        os.makedirs(os.path.dirname(log_file), 0o700, exist_ok=True)
        _turn_over(os.path.realpath(log_file))
        log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:  # rather no log than no speech
        log = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        return _above(log)
    finally:
        os.close(log)


def _turn_over(log_file: str) -> None:
    """Let a long log make way; it stays until the next one is long. Readers follow the inode."""
    with suppress(FileNotFoundError):
        if os.stat(log_file).st_size > LOG_BYTES:
            os.replace(log_file, f"{log_file}.1")


def _command() -> list[str]:
    daemon = ["-P", "-m", "cosyd.daemon"]  # -P: nothing of the client's directory is imported
    return [sys.executable, *daemon, f"--listen-fd={LISTEN_FD}", f"--lock-fd={LOCK_FD}"]


def _limit_wait(sock: socket.socket, seconds: float) -> None:
    """Make `connect` give up (EAGAIN) if a full backlog does not move for that long."""
    value = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def _refusal(path: str, error: OSError) -> CosydError:
    if error.errno == errno.EAGAIN:
        return Unreachable(f"the daemon at {path} takes no connection: is it stopped or overrun?")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Forbidden(f"{path} belongs to somebody else: set COSYD_SOCKET to another path")
    return Unreachable(f"cannot connect to {path}: {error.strerror}; check COSYD_SOCKET")


def _reap() -> None:
    """Collect daemons that we started and that have ended, so that no zombies stay."""
    for pid in tuple(_children):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # the program around us collected it
            ended = pid
        if ended:
            _children.discard(pid)
