"""`cosy load` and `cosy unload`: have a voice's model in memory beforehand, or free it now."""

from __future__ import annotations

import click

from cosyd.cli import suggest
from cosyd.cli.failure import DONE, Usage
from cosyd.cli.patience import patience
from cosyd.cli.reach import reach_running


@click.command("load")
@click.argument("voice", required=False, shell_complete=suggest.voices)
@click.option(
    "--model", metavar="MODEL", help="A model by its own name instead of a voice's.",
    shell_complete=suggest.models,
)  # fmt: skip
def load(voice: str | None, model: str | None) -> int:
    """Load the model of VOICE, so that the next `cosy say` speaks at once.

    \b
    Example:
      cosy load af_heart
    """
    from cosyd.client.sync import connect

    if (voice is None) == (model is None):
        raise Usage("load what? type `cosy load VOICE` (`cosy voices` lists them) or --model MODEL")
    with connect(client="cosy") as client, patience(f"Loading {voice or model}"):
        loaded = client.load(voice=voice) if voice else client.load(model=model)
    took_s = loaded["load_ms"] / 1000
    took = f"took {took_s:.1f} s" if took_s else "it was in memory already"
    click.echo(f"{loaded['model']} is ready ({took}).")
    return DONE


@click.command("unload")
@click.argument("model", required=False, shell_complete=suggest.models)
def unload(model: str | None) -> int:
    """Free the memory of MODEL, or of every model that nobody uses."""
    client = reach_running()
    if client is None:
        click.echo("No model is in memory: cosyd is not running.")
        return DONE
    with client:
        models = client.unload(model=model)
    click.echo(f"Unloaded {', '.join(models)}." if models else "No idle model is in memory.")
    return DONE
