"""`cosy voices`: list them (also `cosy say -v '?'`), make one of a recording, remove one."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, Any, Final

import click

from cosyd.cli import suggest
from cosyd.cli.failure import DONE, Failure, note
from cosyd.cli.human import json_option, show_json, size, table
from cosyd.cli.reach import reach

if TYPE_CHECKING:
    from pathlib import Path

MAX_RECORDING_BYTES: Final = 15 * 1024 * 1024
"""What fits into one message beside the text; 30 s of 48 kHz stereo in 32 bits are 11.5 MB."""


@click.group("voices", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """List the voices you can pick with `cosy say -v`, or make and remove your own.

    \b
    Examples:
      cosy voices
      cosy voices add anna recording.wav --text "What is said in it."
      cosy voices add anna/happy laughing.wav --text "What is said in it."
      cosy voices remove anna
    """
    return DONE if ctx.invoked_subcommand else list_voices(as_json)


@command.command("add")
@click.argument("name")
@click.argument("recording", shell_complete=suggest.files)
@click.option("--text", metavar="TEXT", default="", help="The words that are said in it.")
@click.option("-l", "--language", metavar="TAG", help="Language of it, such as en or zh.")
@click.option("--replace", is_flag=True, help="Take the place of your voice of that name.")
@json_option
def add(
    name: str, recording: str, text: str, language: str | None, replace: bool, as_json: bool
) -> int:
    """Make the voice NAME of RECORDING: 1 to 30 s of one person's speech; - is standard input.

    With --text it speaks as that person does; without, it only sounds like them. NAME/PROMPT adds
    another recording to a voice, in another mood: `cosy say -v NAME/PROMPT` picks it. The
    recording stays on this machine.
    """
    audio = _read(recording)
    with reach() as client:
        voice = client.add_voice(name, audio, text=text, language=language or None, replace=replace)
    if as_json:
        show_json({"voice": voice})
        return DONE
    if not text:
        note("without --text it only sounds like the recording: add --text for its way to speak")
    click.echo(f"Added {name}.")
    for step in _next_steps(name, voice):
        click.echo(f"next: {step}")
    return DONE


@command.command("remove")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=suggest.voices)
def remove(names: tuple[str, ...]) -> int:
    """Remove your voices NAME..., with their recordings, or one recording: NAME/PROMPT."""
    with reach() as client:
        for name in names:
            client.remove_voice(name)
            click.echo(f"Removed {name}.")
    return DONE


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
    prompts = [f"{voice['name']}/{name}" for name in voice.get("prompts", [])[1:]]
    others = f" (also {', '.join(prompts)})" if prompts else ""
    return voice["name"], ",".join(voice["languages"]), voice["description"] + others + missing


def _read(recording: str) -> bytes:
    """The file's bytes, and no more of them than a message takes."""
    if recording == "-":
        data = _some(sys.stdin.buffer)
    else:
        with open(recording, "rb") as file:  # noqa: PTH123 - pathlib is imported for nothing else
            data = _some(file)
    if len(data) > MAX_RECORDING_BYTES:
        limit = size(MAX_RECORDING_BYTES)
        raise Failure(f"{recording}: over {limit}: cut it to 30 s, or save it as FLAC or MP3")
    return data


def _some(file: IO[bytes]) -> bytes:
    return file.read(MAX_RECORDING_BYTES + 1)


def _next_steps(name: str, voice: dict[str, Any]) -> list[str]:
    """What to type until it speaks."""
    from cosyd.engines.registry import find

    engine = find(voice["engine"])
    steps = [] if voice["installed"] or engine is None else [engine.install]
    if engine is not None and not _has_weights(engine.name):
        from cosyd.cli.pull import COMMAND, pull_size

        steps.append(f"{COMMAND}  ({pull_size()})")
    return [*steps, f'cosy say -v {name} "Hello."']


def _has_weights(engine: str) -> bool:
    """Whether nothing is to be fetched for an engine's voices."""
    from cosyd.cli import pull

    return engine != pull.ENGINE or pull.is_here(_data_dir())


def _data_dir() -> Path:
    from cosyd import config, paths

    return paths.data_dir(config.load(os.environ, file=paths.config_file(os.environ)))
