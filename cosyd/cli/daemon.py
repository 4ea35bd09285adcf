"""`cosy daemon start|stop|restart|status`: the daemon itself, for those who want to see it."""

from __future__ import annotations

import click

from cosyd.cli.failure import DONE, NOT_RUNNING
from cosyd.cli.reach import reach_running
from cosyd.cli.status import NOT_RUNNING_LINE, headline

_now = click.option("--now", is_flag=True, help="Don't let what is being spoken finish first.")


@click.group("daemon")
def command() -> None:
    """Start or stop the speech daemon. `cosy say` starts it by itself."""


@command.command("start")
def start() -> int:
    """Start the daemon, if it does not run yet."""
    return _start()


@command.command("stop")
@_now
def stop(now: bool) -> int:
    """Stop the daemon; what is being spoken is finished first."""
    click.echo("Stopped cosyd." if _shut_down(now) else "cosyd is not running.")
    return DONE


@command.command("restart")
@_now
def restart(now: bool) -> int:
    """Stop the daemon and start it again."""
    _shut_down(now)
    return _start()


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


def _start() -> int:
    from cosyd.client.sync import connect

    with connect(client="cosy") as client:
        click.echo(headline(client.status()))
    return DONE


def _shut_down(now: bool) -> bool:
    """Whether a daemon ran."""
    client = reach_running()
    if client is None:
        return False
    with client:
        client.shutdown(drain=not now)
    return True
