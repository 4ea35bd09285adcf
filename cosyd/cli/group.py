"""The click group `cosy`: knows its commands' names, imports one only when it is used."""

from __future__ import annotations

import importlib
import os
from typing import Final

import click

from cosyd.cli.failure import DONE, USAGE, note

COMMANDS: Final = {
    "say": "say_command:command",
    "voices": "voices:command",
    "pull": "pull:command",
    "status": "status:command",
    "ps": "ps:command",
    "pause": "control:pause",
    "resume": "control:resume",
    "stop": "control:stop",
    "load": "models:load",
    "unload": "models:unload",
    "doctor": "doctor.command:command",
    "logs": "logs:command",
    "metrics": "metrics:command",
    "config": "config:command",
    "daemon": "daemon:command",
    "install": "install:command",
    "uninstall": "uninstall:command",
    "completion": "completion:command",
    "man": "manual:command",
}
"""Command → module in this package and attribute."""

_EPILOG = """\b
Try:
  cosy say "Hello there."
  cosy say -f story.txt -o story.wav
  cosy stop
"""


class LazyGroup(click.Group):
    """A group whose commands are imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the help page."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None if there is no such."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"cosyd.cli.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a hint for those who left out `say`."""
        name = args[0]
        typed = not ctx.resilient_parsing and not name.startswith("-")  # else the shell asks
        if typed and self.get_command(ctx, name) is None:
            raise click.UsageError(f"no command {name!r}: {_hint(name)}")
        return super().resolve_command(ctx, args)


def _hint(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    if near:
        return f"did you mean `cosy {near[0]}`?"
    return f"`cosy say {name!r}` speaks it, `cosy --help` lists the commands"


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    if value and not ctx.resilient_parsing:
        from cosyd import __version__

        click.echo(f"cosy {__version__}")
        ctx.exit()


_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    "cosy", cls=LazyGroup, context_settings=_SETTINGS, epilog=_EPILOG, invoke_without_command=True
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Show the version.",
)  # fmt: skip
@click.pass_context
def cosy(ctx: click.Context) -> None:
    """Speak text aloud with a local neural voice.

    The speech daemon starts by itself, keeps the voice ready, and stops when nobody needs it.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit(USAGE)


def run(arguments: list[str]) -> int:
    """Run one command line through click. Returns the exit code."""
    if "_COSY_COMPLETE" in os.environ:  # click's shell completion
        cosy.main(arguments, "cosy")
    try:
        # Not cosy.main(): that answers a closed pipe itself, with exit code 1.
        with cosy.make_context("cosy", arguments) as ctx:
            code = cosy.invoke(ctx)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        note(_usage_line(error, arguments))
        return USAGE
    return code if isinstance(code, int) else DONE


def _usage_line(error: click.UsageError, arguments: list[str]) -> str:
    """click's complaint as one line that ends with what to type."""
    message = error.format_message().rstrip(".")
    if "`cosy" in message:
        return message
    path = "cosy"
    if error.ctx is not None:
        path = error.ctx.command_path
    elif arguments[0] in COMMANDS:  # the parser itself complains without a context
        path = f"cosy {arguments[0]}"
    return f"{message[:1].lower()}{message[1:]}: type `{path} --help`"
