"""`cosy pause`, `cosy resume`, `cosy stop`: whatever is being spoken, from any terminal."""

from __future__ import annotations

import click

from cosyd.cli.failure import DONE
from cosyd.cli.reach import reach_running


def _control(kind: str, done: str) -> int:
    """Do `kind` to every utterance in the daemon; start no daemon for it."""
    client = reach_running()
    if client is None:
        click.echo("Nothing is being spoken: cosyd is not running.")
        return DONE
    with client:
        counts = client.status()["utterances"]
        {"pause": client.pause, "resume": client.resume, "stop": client.stop}[kind](scope="user")
    spoken = counts["active"] + counts["queued"]
    click.echo(done if spoken else "Nothing is being spoken.")
    return DONE


@click.command("pause")
def pause() -> int:
    """Fall silent until `cosy resume`: everything that is being spoken, from any terminal."""
    return _control("pause", "Paused; `cosy resume` goes on.")


@click.command("resume")
def resume() -> int:
    """Go on after `cosy pause`."""
    return _control("resume", "Resumed.")


@click.command("stop")
def stop() -> int:
    """Stop everything that is being spoken, from any terminal."""
    return _control("stop", "Stopped.")
