"""`cosy say` for click: the same option table, with help and errors."""

from __future__ import annotations

from typing import Any

import click

from cosyd.cli.options import SAY_OPTIONS, BadOption, Option
from cosyd.cli.suggest import FOR_SAY

_EPILOG = """\b
Examples:
  cosy say "Hello there."
  cosy say -v '?'                      list the voices
  cosy say -f story.txt -o story.wav   write a WAV file
  cosy say -o - "Hello" | aplay        pipe it to a player
  tail -f log | cosy say               speak lines as they come

Ctrl-C falls silent at once. Exit codes: 0 done (a closed pipe included), 1 failed,
2 wrong usage, 130 Ctrl-C, 143 SIGTERM.
"""


class _Value(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """Converts as the table says."""

    def __init__(self, option: Option) -> None:
        self.name = option.metavar
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, or click's usage error."""
        try:
            return self._option.convert(value)
        except BadOption as error:
            raise click.UsageError(str(error), ctx) from None
        finally:
            del param


def _parameter(option: Option) -> click.Option:
    names = [option.name, *option.flags]
    if option.is_flag:
        return click.Option(names, is_flag=True, help=option.help)
    return click.Option(
        names,
        type=_Value(option),
        metavar=option.metavar,
        help=option.help,
        shell_complete=FOR_SAY.get(option.name),
    )


def _run(**values: Any) -> int:
    from cosyd.cli.say import say

    return say({**values, "words": list(values["words"])})


command = click.Command(
    "say",
    callback=_run,
    params=[
        click.Argument(["words"], nargs=-1, metavar="[TEXT]..."),
        *(_parameter(option) for option in SAY_OPTIONS),
    ],
    help="""Speak TEXT, a file, or what comes in on standard input.

    It plays at once, or goes to a WAV file with -o. Text from standard input is spoken as it
    arrives, so it may be as long as you like.
    """,
    short_help="Speak text, a file or standard input.",
    epilog=_EPILOG,
)
