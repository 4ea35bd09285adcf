"""`cosy daemon start|stop|restart|reload|status|logs`: the daemon itself, for who wants to see it.

Where systemd or launchd starts it, they are asked: a daemon that was ended behind their back
would count as one that failed, and asking the daemon itself would start it.
"""

from __future__ import annotations

import os
import signal

import click

from cosyd import config, paths
from cosyd.cli.failure import DONE, NOT_RUNNING
from cosyd.cli.logs import command as logs
from cosyd.cli.manager import Manager, Runner, owner
from cosyd.cli.reach import reach_running
from cosyd.cli.status import NOT_RUNNING_LINE, headline

_now = click.option("--now", is_flag=True, help="Don't let what is being spoken finish first.")


@click.group("daemon")
def command() -> None:
    """Start or stop the speech daemon. `cosy say` starts it by itself."""


command.add_command(logs)


@command.command("start")
def start() -> int:
    """Start the daemon, if it does not run yet."""
    if (manager := _manager()) is not None:
        manager.start(Runner())
    return _greet()


@command.command("stop")
@_now
def stop(now: bool) -> int:
    """Stop the daemon; what is being spoken is finished first."""
    manager = _manager()
    stopped = _shut_down(now, manager)
    click.echo("Stopped cosyd." if stopped else "cosyd is not running.")
    if manager is not None:
        click.echo(
            f"{manager.name} still listens and starts it at the next request; "
            "`cosy uninstall` ends that."
        )
    return DONE


@command.command("restart")
@_now
def restart(now: bool) -> int:
    """Stop the daemon and start it again."""
    manager = _manager()
    if manager is not None and not now:
        manager.restart(Runner())
    else:
        _shut_down(now, manager)
    return _greet()


@command.command("reload")
def reload() -> int:
    """Let the daemon read its settings again; what is being spoken goes on."""
    _settings()  # a mistake in them is told here, not only in the log
    client = reach_running()
    if client is None:
        click.echo("cosyd is not running; it reads its settings when it starts.")
        return DONE
    with client:
        status = client.status()
        manager = _manager()
        if manager is not None and status["activation"] == manager.name:
            manager.reload(Runner())
        else:
            os.kill(status["pid"], signal.SIGHUP)
    click.echo("cosyd reads its settings again.")
    return DONE


@command.command("status")
def status() -> int:
    """Say whether the daemon runs: exit code 0 if it does, 3 if it does not."""
    client = reach_running()
    if client is None:
        click.echo(NOT_RUNNING_LINE)
        return NOT_RUNNING
    with client:
        click.echo(headline(client.status()))
    return DONE


def _settings() -> config.Config:
    return config.load(os.environ, file=paths.config_file(os.environ))


def _manager() -> Manager | None:
    return owner(paths.socket_path(_settings()))


def _greet() -> int:
    from cosyd.client.sync import connect

    with connect(client="cosy") as client:
        click.echo(headline(client.status()))
    return DONE


def _shut_down(now: bool, manager: Manager | None) -> bool:
    """Whether a daemon ran."""
    client = reach_running()
    if client is None:
        return False
    with client:
        if now or manager is None or client.status()["activation"] != manager.name:
            client.shutdown(drain=not now)
            return True
    manager.stop(Runner())
    return True
