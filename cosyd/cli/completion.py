"""`cosy completion SHELL`: what makes TAB complete `cosy`'s commands, options and values."""

from __future__ import annotations

from typing import Final

import click

from cosyd.cli.failure import DONE

SHELLS: Final = ("bash", "zsh", "fish")
FILES: Final = {"bash": "cosy", "zsh": "_cosy", "fish": "cosy.fish"}
"""Shell → the name that its script must have for the shell to find it by itself."""
VARIABLE: Final = "_COSY_COMPLETE"
"""Set by the scripts: `cosy` then prints completions instead of doing anything."""


def scripts() -> dict[str, str]:
    """Shell → script, for all shells, whether they are installed here or not."""
    from click.shell_completion import ShellComplete, get_completion_class

    found = {}
    for shell in SHELLS:
        kind = get_completion_class(shell)
        assert kind is not None, shell
        complete = kind(click.Group("cosy"), {}, "cosy", VARIABLE)
        # Not complete.source(): for bash that runs bash to see how old it is.
        found[shell] = ShellComplete.source(complete).strip() + "\n"
    return found


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the script that makes TAB work in SHELL. `cosy install` puts it into place.

    \b
    Examples, each for one session only:
      eval "$(cosy completion bash)"
      source <(cosy completion zsh)
      cosy completion fish | source
    """
    click.echo(scripts()[shell], nl=False)
    return DONE
