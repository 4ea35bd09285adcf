"""The daemon's entry: `cosyd`, or how a client starts it with a listener and a lock."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Final, NamedTuple

from cosyd import config as settings
from cosyd.config import Config, ConfigError
from cosyd.daemon import activation, metrics, service
from cosyd.daemon.clock import LoopClock
from cosyd.daemon.core import Core
from cosyd.daemon.door import Door, InheritedDoor, NoDoor, OwnDoor
from cosyd.daemon.life import Life
from cosyd.daemon.server import Server
from cosyd.daemon.supervisor import Start
from cosyd.engines.base import Descriptor
from cosyd.errors import CosydError
from cosyd.link.host import Host, Listener, spawn_python
from cosyd.logs import event, set_up
from cosyd.paths import SOCKET_PATH_MAX, config_file, data_dir, socket_path, voicepack_dirs
from cosyd.rendezvous import listen_at, own_lock, prepare_directory
from cosyd.settings import SETTINGS
from cosyd.voices.catalog import Catalog

Reader = Callable[[], Config]
"""Reads the settings as they are now."""

_LOG: Final = logging.getLogger("cosyd.daemon")
IDLE_FLOOR_S: Final = {"systemd": 60.0, "launchd": 15.0, "self": 0.0}
"""Who started us → the shortest idle timeout that is taken from the configuration.

A daemon that ends and is started again too often makes systemd give up its socket too (its default
limit is 5 starts in 10 s), and launchd wait before the next start of a job that ran under 10 s.
`--idle-timeout` on the command line is taken as it is: who wrote that into a unit may change
the unit's limits as well.
"""
_TASKS: Final[set[asyncio.Task[None]]] = set()
"""Running hosts; the loop itself keeps only weak references."""


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cosyd",
        description="The speech daemon. Clients start it by themselves; it ends when idle.",
    )
    for each in SETTINGS:
        parser.add_argument(
            each.flag, dest=each.name, metavar=each.kind.short.upper(), help=each.help
        )
    # How clients hand over what they made already:
    parser.add_argument("--listen-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--connection-fd", type=int, help=argparse.SUPPRESS)
    # How our property list says that launchd has the socket: to ask costs an import.
    parser.add_argument("--launchd", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _inherited(descriptor: int) -> socket.socket:
    found = socket.socket(fileno=descriptor)
    found.set_inheritable(False)
    return found


def _starter(read: Callable[[], Config]) -> Start:
    """Workers as processes of this interpreter."""

    def start(listener: Listener, engine: Descriptor, model: str) -> Host:
        host, config = Host(listener), read()
        arguments = ["-m", "cosyd.worker", "--engine", engine.name, "--model", model]
        arguments += ["--data-dir", str(data_dir(config)), "--device", config.device]
        arguments += ["--precision", config.precision]
        arguments += ["--nice", str(config.worker_nice), "--log-level", config.log_level]
        arguments += ["--log-format", config.log_format]
        task = asyncio.get_running_loop().create_task(host.run(spawn_python, arguments))
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)
        return host

    return start


class _Meeting(NamedTuple):
    """Where clients find us."""

    listener: socket.socket
    path: str
    activation: str
    door: Door


def _passed(args: argparse.Namespace) -> _Meeting | None:
    """A service manager's socket, if one started us."""
    found, manager = activation.from_systemd(os.environ, os.getpid()), "systemd"
    if found is None and args.launchd:
        found, manager = activation.from_launchd(), "launchd"
    if found is None:
        return None
    return _Meeting(found, activation.path_of(found), manager, InheritedDoor())


def _own(args: argparse.Namespace, path: str) -> _Meeting | None:
    """What a client handed over, or what we make ourselves; None if there is a daemon already."""
    if args.listen_fd is not None:
        os.set_inheritable(args.lock_fd, False)  # workers must not keep the lock
        listener = _inherited(args.listen_fd)
    else:
        prepare_directory(path)
        if own_lock(path) is None or _answers(path):
            return None
        listener = listen_at(path)
    return _Meeting(listener, path, "self", OwnDoor(path))


def _answers(path: str) -> bool:
    """Whether somebody listens who has no lock: a service manager. Its socket is not replaced."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0


async def _serve(read: Reader, meeting: _Meeting) -> None:
    loop = asyncio.get_running_loop()
    told = service.asked(os.environ, os.getpid())
    config, clock = read(), LoopClock(loop)
    catalog = Catalog(voicepack_dirs(config))
    core = Core(
        *(config, catalog, clock, _starter(lambda: core.config)),
        socket=meeting.path,
        activation=meeting.activation,
    )
    server = Server(core, loop)
    server.listen(meeting.listener)
    event(_LOG, "listening", socket=meeting.path, pid=os.getpid(), by=meeting.activation)
    close_metrics = await metrics.serve(core.status, config.metrics_socket)
    core.preload()
    await Life(core, server, meeting.door, service.Service(told, clock), read).run()
    close_metrics()
    await asyncio.gather(*_TASKS)  # every worker is gone before we are


async def _serve_one(config: Config, connection: socket.socket) -> None:
    """Serve one connected client and end with it: for whoever cannot use the shared daemon."""
    loop = asyncio.get_running_loop()
    catalog, clock = Catalog(voicepack_dirs(config)), LoopClock(loop)
    core = Core(config, catalog, clock, _starter(lambda: config))
    server = Server(core, loop)
    server.serve(connection)
    nobody = service.Service(service.Asked(), clock)
    await Life(core, server, NoDoor(), nobody, lambda: config).run()
    await asyncio.gather(*_TASKS)


def _run(read: Callable[[str], Config], args: argparse.Namespace) -> int:
    import uvloop

    if args.connection_fd is not None:
        private = read("self")._replace(idle_timeout_s=0.0, socket="")
        uvloop.run(_serve_one(private, _inherited(args.connection_fd)))
        return 0
    meeting = _passed(args)
    if meeting is None:
        path = socket_path(read("self"))
        if len(os.fsencode(path)) > SOCKET_PATH_MAX:
            return _complain(
                f"{path}: over {SOCKET_PATH_MAX} bytes: set COSYD_SOCKET to a shorter one"
            )
        meeting = _own(args, path)
        if meeting is None:
            return _complain(f"a daemon runs at {path} already: cosy status shows it")
    manager = meeting.activation
    uvloop.run(_serve(lambda: read(manager), meeting))
    return 0


def _config(args: argparse.Namespace, manager: str) -> Config:
    """The settings as they are now, fit for a daemon that `manager` started.

    Raises:
        ConfigError: as `settings.load`.
    """
    flags = {each.name: getattr(args, each.name) for each in SETTINGS}
    config = settings.load(os.environ, flags, config_file(os.environ))
    set_up(config.log_level, config.log_format)
    floor = IDLE_FLOOR_S[manager]
    if args.idle_timeout_s is None and 0 <= config.idle_timeout_s < floor:
        event(_LOG, "idle timeout raised", asked_s=config.idle_timeout_s, taken_s=floor, by=manager)
        config = config._replace(idle_timeout_s=floor)
    return config


def _complain(message: str) -> int:
    print(f"cosyd: {message}", file=sys.stderr)
    return 1


def main(argv: list[str] | None = None) -> int:
    """Serve until idle or told to end; 0, or 1 with one line on stderr."""
    args = _arguments(argv)
    try:
        return _run(lambda manager: _config(args, manager), args)
    except (ConfigError, CosydError, OSError) as error:
        return _complain(str(error))
