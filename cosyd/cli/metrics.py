"""`cosy metrics`: the daemon's counts as Prometheus text."""

from __future__ import annotations

import click

from cosyd.cli.failure import DONE
from cosyd.cli.reach import reach_running


@click.command("metrics")
def command() -> int:
    """Print what the daemon has counted, as Prometheus text.

    Starts no daemon; without one, `cosyd_up 0` is all there is. To have it scraped, set
    `metrics_socket`: `curl --unix-socket PATH http://cosyd/metrics`.
    """
    from cosyd.prometheus import render, up

    client = reach_running()
    if client is None:
        click.echo(up(False), nl=False)
        return DONE
    with client:
        status = client.status()
    click.echo(up(True) + render(status), nl=False)
    return DONE
