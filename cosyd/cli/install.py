"""`cosy install`: let systemd or launchd start the daemon; manuals and completion besides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cosyd import config, paths
from cosyd.cli.extras import extra_files, hints
from cosyd.cli.failure import DONE, Failure
from cosyd.cli.manager import MANAGERS, Manager, Runner, of_this_machine
from cosyd.cli.placing import Placer, refuse_foreign, signed, state
from cosyd.cli.units import Place, check_socket_length, this_python

if TYPE_CHECKING:
    from cosyd.client.sync import Client

NOTHING_OWNS = "no service manager here; the daemon starts by itself when you say something"

dry_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
force_option = click.option(
    "--force", is_flag=True, help="Also replace or remove files that were edited by hand."
)


@click.command("install")
@click.option("--systemd", "which", flag_value="systemd", help="As units of this user's systemd.")
@click.option("--launchd", "which", flag_value="launchd", help="As an agent of launchd.")
@dry_option
@force_option
def command(which: str | None, dry_run: bool, force: bool) -> int:
    """Let the system start the daemon at the first request, after every login.

    Without it the daemon starts by itself all the same. Installs manual pages and shell
    completion too. It can be repeated, and `cosy uninstall` takes everything back.
    """
    manager = _manager(which, dry_run)
    place = _place()
    files = [] if manager is None else manager.files(place)
    extras = extra_files()
    refuse_foreign([file.path for file in [*files, *extras]], force)
    placer, runner = Placer(dry_run, click.echo), Runner(dry_run, click.echo)
    changed = [file for file in files if state(file.path, signed(file)) != "same"]
    if manager is None:
        click.echo(NOTHING_OWNS)
    elif changed:
        manager.prepare(runner, place, any(state(file.path) != "absent" for file in changed))
    for file in [*files, *extras]:
        placer.write(file)
    if manager is not None:
        _hand_over(manager, runner, bool(changed))
        _warn_of_variables(manager)
    for hint in hints():
        click.echo(hint)
    return DONE


def _manager(which: str | None, dry: bool) -> Manager | None:
    if which is None:
        return of_this_machine()
    if not dry and (reason := MANAGERS[which].why_not()) is not None:
        raise Failure(f"{which} cannot be used: {reason}")
    return MANAGERS[which]


def _place() -> Place:
    settings = config.load(os.environ, file=paths.config_file(os.environ))
    socket = os.path.abspath(paths.socket_path(settings))  # noqa: PTH100 - see cosyd.paths on pathlib
    check_socket_length(socket)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return Place(this_python(), socket, runtime, paths.log_file(settings))


def _warn_of_variables(manager: Manager) -> None:
    """A daemon that a service manager starts has another environment than this terminal."""
    lost = sorted(name for name in os.environ if name.startswith("COSYD_"))
    if lost:
        names = ", ".join(lost)
        click.echo(f"{manager.name} does not see {names}: `cosy config set` keeps a setting for it")


def _hand_over(manager: Manager, runner: Runner, changed: bool) -> None:
    """Let `manager` listen; a daemon that a client started finishes what it does, and ends."""
    old = _started_by_a_client()
    if old is None:
        manager.load(runner, changed)
        return
    with old:
        if manager.takes_over_first:  # its clients never meet a closed door
            manager.load(runner, changed)
        click.echo(f"{'would tell' if runner.dry else 'told'} the running daemon to hand over")
        if not runner.dry:
            old.shutdown(drain=True)
    if not manager.takes_over_first:
        manager.load(runner, changed)


def _started_by_a_client() -> Client | None:
    from cosyd.cli.reach import reach_running

    client = reach_running()
    if client is not None and client.status()["activation"] != "self":
        client.close()
        return None
    return client
