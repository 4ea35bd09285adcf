"""The daemon's entry: `cosyd`, or how a client starts it with a listener and a lock."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from typing import Any, Final

from cosyd import config as settings
from cosyd.config import Config, ConfigError
from cosyd.daemon.clock import LoopClock
from cosyd.daemon.core import Core
from cosyd.daemon.life import Life
from cosyd.daemon.model import Start
from cosyd.daemon.server import Server
from cosyd.engines.base import Descriptor
from cosyd.errors import CosydError
from cosyd.link.host import Host, Listener, spawn_python
from cosyd.logs import event, set_up
from cosyd.paths import SOCKET_PATH_MAX, data_dir, socket_path, voicepack_dirs
from cosyd.rendezvous import listen_at, own_lock, prepare_directory
from cosyd.voices.catalog import Catalog

_LOG: Final = logging.getLogger("cosyd.daemon")
_TASKS: Final[set[asyncio.Task[None]]] = set()
"""Running hosts; the loop itself keeps only weak references."""


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cosyd",
        description="The speech daemon. Clients start it by themselves; it ends when idle.",
    )
    parser.add_argument("--socket", help="path of the Unix socket")
    parser.add_argument("--idle-timeout", type=float, dest="idle_timeout_s", metavar="SECONDS")
    parser.add_argument("--keep-alive", type=float, dest="keep_alive_s", metavar="SECONDS")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    # How clients hand over what they made already:
    parser.add_argument("--listen-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--connection-fd", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _inherited(descriptor: int) -> socket.socket:
    found = socket.socket(fileno=descriptor)
    found.set_inheritable(False)
    return found


def _starter(config: Config) -> Start:
    """Workers as processes of this interpreter."""

    def start(listener: Listener, engine: Descriptor, model: str) -> Host:
        host = Host(listener)
        arguments = ["-m", "cosyd.worker", "--engine", engine.name, "--model", model]
        arguments += ["--data-dir", str(data_dir(config)), "--device", config.device]
        arguments += ["--precision", config.precision]
        arguments += ["--nice", str(config.worker_nice), "--log-level", config.log_level]
        task = asyncio.get_running_loop().create_task(host.run(spawn_python, arguments))
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)
        return host

    return start


def _listener(args: argparse.Namespace, path: str) -> socket.socket | None:
    """The listening socket: handed over, or our own; None if another daemon has the lock."""
    if args.listen_fd is not None:
        os.set_inheritable(args.lock_fd, False)  # workers must not keep the lock
        return _inherited(args.listen_fd)
    prepare_directory(path)
    return listen_at(path) if own_lock(path) is not None else None


async def _serve(config: Config, path: str, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    catalog = Catalog(voicepack_dirs(config))
    core = Core(config, catalog, LoopClock(loop), _starter(config), socket=path)
    server = Server(core, loop)
    server.listen(listener)
    event(_LOG, "listening", socket=path, pid=os.getpid())
    await Life(core, server, path, listen_at).run()
    await asyncio.gather(*_TASKS)  # every worker is gone before we are


async def _serve_one(config: Config, connection: socket.socket) -> None:
    """Serve one connected client and end with it: for whoever cannot use the shared daemon."""
    loop = asyncio.get_running_loop()
    catalog = Catalog(voicepack_dirs(config))
    core = Core(config, catalog, LoopClock(loop), _starter(config))
    server = Server(core, loop)
    server.serve(connection)
    life = Life(core, server, "", listen_at)
    await life.run()
    await asyncio.gather(*_TASKS)


def _run(config: Config, args: argparse.Namespace) -> int:
    import uvloop

    if args.connection_fd is not None:
        private = config._replace(idle_timeout_s=0.0, socket="")
        uvloop.run(_serve_one(private, _inherited(args.connection_fd)))
        return 0
    path = socket_path(config)
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        return _complain(f"{path}: over {SOCKET_PATH_MAX} bytes: set COSYD_SOCKET to a shorter one")
    listener = _listener(args, path)
    if listener is None:
        return _complain(f"a daemon runs at {path} already: cosy status shows it")
    uvloop.run(_serve(config, path, listener))
    return 0


def _complain(message: str) -> int:
    print(f"cosyd: {message}", file=sys.stderr)
    return 1


def main(argv: list[str] | None = None) -> int:
    """Serve until idle or told to end; 0, or 1 with one line on stderr."""
    args = _arguments(argv)
    names = ("socket", "idle_timeout_s", "keep_alive_s", "log_level")
    flags: dict[str, Any] = {name: getattr(args, name) for name in names}
    try:
        config = settings.load(os.environ, flags)
        set_up(config.log_level)
        return _run(config, args)
    except (ConfigError, CosydError, OSError) as error:
        return _complain(str(error))
