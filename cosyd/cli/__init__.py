"""The command line `cosy`. One file per family of commands, imported when one of them is run."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `cosy` with `arguments` (default: the process's own). Returns the exit code."""
    try:
        from cosyd.cli.failure import guard
    except KeyboardInterrupt:  # so early that nobody handles signals yet
        return 130
    words = list(sys.argv[1:] if arguments is None else arguments)
    return guard(lambda: _dispatch(words))


def _dispatch(arguments: list[str]) -> int:
    """A plain `say` goes straight to work; all else goes through click, which costs 30 ms."""
    if arguments[:1] == ["say"]:
        from cosyd.cli.options import SAY_OPTIONS, parse_plain

        values = parse_plain(arguments[1:], SAY_OPTIONS)
        if values is not None:
            from cosyd.cli.say import say

            return say(values)
    from cosyd.cli.group import run

    return run(arguments)
