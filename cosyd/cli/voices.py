"""`cosy voices`, which is also `cosy say -v '?'`."""

from __future__ import annotations

from typing import Any

import click

from cosyd.cli.failure import DONE
from cosyd.cli.human import json_option, show_json, table
from cosyd.cli.reach import reach


@click.command("voices")
@json_option
def command(as_json: bool) -> int:
    """List the voices you can pick with `cosy say -v`."""
    return list_voices(as_json)


def list_voices(as_json: bool = False) -> int:
    """Print the voices. Returns the exit code."""
    with reach() as client:
        voices = client.voices()
    if as_json:
        show_json({"voices": voices})
    elif voices:
        click.echo(table([_row(voice) for voice in voices]))
    else:
        click.echo("No voices yet: type `pip install 'cosyd[kokoro]'`.")
    return DONE


def _row(voice: dict[str, Any]) -> tuple[str, str, str]:
    missing = "" if voice["installed"] else " (not installed)"
    return voice["name"], ",".join(voice["languages"]), voice["description"] + missing
