"""Reaching the daemon: the one that runs, the one that starts now, or one of our own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cosyd.cli.failure import note
from cosyd.config import load
from cosyd.errors import Forbidden, Unreachable
from cosyd.paths import config_file, socket_path

if TYPE_CHECKING:
    from cosyd.client.sync import Client


def reach(*, no_daemon: bool = False) -> Client:
    """A client of the daemon, which is started if need be.

    Where no daemon can be used at all, one of our own that ends with this command; stderr says
    so, unless `no_daemon` asked for it.

    Raises:
        CosydError: not even that.
    """
    if not no_daemon:
        from cosyd.client.sync import connect

        try:
            return connect(client="cosy")
        except (Unreachable, Forbidden) as error:
            note(f"speaking without the daemon: {error}")
    from cosyd.cli.private import open_private

    return open_private()


def reach_running() -> Client | None:
    """A client of the daemon that runs; None: none does. Starts nothing.

    Raises:
        CosydError: what is there cannot be connected to.
    """
    from cosyd.client.owner import is_asleep
    from cosyd.client.sync import connect

    if is_asleep(socket_path(load(os.environ, file=config_file(os.environ))), os.environ):
        return None
    try:
        return connect(autostart=False, client="cosy")
    except Unreachable as error:
        if isinstance(error.__cause__, OSError):
            raise  # the system refused more than "nobody listens"
        return None
