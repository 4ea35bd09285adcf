"""`cosy uninstall`: take back what `cosy install` did, and nothing else."""

from __future__ import annotations

import click

from cosyd.cli.extras import extra_paths
from cosyd.cli.failure import DONE
from cosyd.cli.install import dry_option, force_option
from cosyd.cli.manager import MANAGERS, Runner
from cosyd.cli.placing import Placer, refuse_foreign, state


@click.command("uninstall")
@dry_option
@force_option
def command(dry_run: bool, force: bool) -> int:
    """Take back what `cosy install` did: units, manual pages, completion.

    Voices, models and settings stay. The daemon starts by itself again from then on.
    """
    placer, runner = Placer(dry_run, click.echo), Runner(dry_run, click.echo)
    managers = {
        name: [path for path in manager.paths() if state(path) != "absent"]
        for name, manager in MANAGERS.items()
    }
    extras = [path for path in extra_paths() if state(path) == "ours"]
    refuse_foreign([path for paths in managers.values() for path in paths], force)
    for name, paths in managers.items():
        if paths:
            MANAGERS[name].unload(runner)
            for path in paths:
                placer.remove(path)
            MANAGERS[name].forget(runner)
    for path in extras:
        placer.remove(path)
    if not extras and not any(managers.values()):
        click.echo("Nothing is installed.")
    return DONE
