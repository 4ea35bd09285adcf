"""`cosy config`: what the settings are, where they come from, and changing them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cosyd import paths
from cosyd.cli import config_edit, config_file
from cosyd.cli.failure import DONE, Failure, Usage, note
from cosyd.cli.human import json_option, show_json
from cosyd.cli.options import printable
from cosyd.config import FILE_VARIABLE, Config, ConfigError, Given, given
from cosyd.settings import BY_KEY, SETTINGS, BadValue, Setting, find
from cosyd.settings_file import lines_of, read, read_text


def _complete_key(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del ctx, param
    return [
        CompletionItem(setting.key, help=setting.help)
        for setting in SETTINGS
        if setting.key.startswith(incomplete)
    ]


def _complete_value(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    del param
    setting = BY_KEY.get(ctx.params.get("key") or "")
    choices = setting.choices if setting else ()
    return [CompletionItem(choice) for choice in choices if choice.startswith(incomplete)]


_key = click.argument("key", shell_complete=_complete_key)


@click.group("config")
def command() -> None:
    """Show and change the settings.

    They come from a file, the environment (COSYD_…) and the options of `cosyd`; the last wins.
    """


@command.command("show")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@json_option
def show(origin: bool, as_json: bool) -> int:
    """Show all settings that are in force, as they may stand in the file.

    \b
    Example:
      cosy config show --origin
    """
    found = _in_force()
    if as_json:
        show_json({name: _for_programs(each, origin) for name, each in found.items()})
        return DONE
    for setting in SETTINGS:
        each = found[setting.name]
        line = f"{setting.key} = {_toml(setting, each.value)}"
        click.echo(f"{line:<32}  # {printable(each.where)}" if origin else line)
    return DONE


@command.command("get")
@_key
def get(key: str) -> int:
    """Print the value of KEY that is in force; of a list one entry a line.

    With the unit in its name (keep_alive_s, ram_budget_mb) it is a bare number.
    """
    setting = _find(key)
    value = _in_force()[setting.name].value
    click.echo(os.fsencode(_plain(setting, key, value)))  # a path may be no UTF-8
    return DONE


@command.command("set", context_settings={"ignore_unknown_options": True})  # -1 is a value
@_key
@click.argument("words", nargs=-1, required=True, metavar="VALUE", shell_complete=_complete_value)
def set_(key: str, words: tuple[str, ...]) -> int:
    """Write VALUE for KEY into the file; all else in it stays as it is.

    \b
    Examples:
      cosy config set voice bf_emma
      cosy config set keep_alive 10m
    """
    setting, path = _find(key), _place()
    try:
        value = config_file.typed(setting, words)
    except BadValue as error:
        raise Usage(f"{key} {error}") from error
    config_file.set_value(path, setting, value)
    click.echo(f"Set in {path}. {_hint(setting)}")
    _warn(path, setting)
    return DONE


@command.command("unset")
@_key
def unset(key: str) -> int:
    """Take KEY out of the file: its default is in force again."""
    path, setting = _place(), BY_KEY.get(key)
    done = config_file.unset(path, setting.keys if setting else (key,))
    if not done:
        _find(key)
        click.echo(f"{key} is not set in {path}.")
        return DONE
    click.echo(f"Taken out of {path}. {_hint(setting)}")
    _warn(path, setting)
    return DONE


@command.command("edit")
def edit() -> int:
    """Open the file in your editor ($VISUAL or $EDITOR) and check it afterwards."""
    path = _place()
    if config_edit.edit(path):
        click.echo(f"{path} is good. {_hint(None)}")
    return DONE


@command.command("path")
def path_() -> int:
    """Print where the file is, or would be."""
    click.echo(os.fsencode(_place()))
    return DONE


def _place() -> Path:
    path = paths.config_file(os.environ)
    if path is None:
        raise Failure(f"{FILE_VARIABLE}=- means no file: type `unset {FILE_VARIABLE}`")
    return Path(path)


def _find(key: str) -> Setting:
    try:
        return find(key)
    except BadValue as error:
        raise Usage(f"{error}: `cosy config show` lists all") from error


def _in_force() -> dict[str, Given]:
    """Every field, with the line if it comes from the file."""
    file = paths.config_file(os.environ)
    found = given(os.environ, file=file)
    lines = _lines(file) if any(each.origin == "file" for each in found.values()) else {}
    values = Config()._asdict()
    defaults = {name: Given(value, "default", "default") for name, value in values.items()}
    return defaults | {
        name: each._replace(where=f"{each.where}:{lines[name]}") if each.origin == "file" else each
        for name, each in found.items()
    }


def _lines(file: str | None) -> dict[str, int]:
    return {BY_KEY[key].name: line for key, line in lines_of(read_text(str(file))).items()}


def _toml(setting: Setting, value: Any) -> str:
    return printable(json.dumps(setting.show(value), ensure_ascii=False))


def _for_programs(found: Given, origin: bool) -> Any:
    return found._asdict() if origin else found.value


def _plain(setting: Setting, key: str, value: Any) -> str:
    if isinstance(value, tuple):
        return "\n".join(value)
    if key == setting.key:
        return str(setting.show(value))
    return str(int(value)) if value == int(value) else repr(value)


def _hint(setting: Setting | None) -> str:
    """How a daemon that runs takes the change."""
    verb = "restart" if setting is not None and setting.restart else "reload"
    return f"If cosyd runs, `cosy daemon {verb}` makes it take that."


def _warn(path: Path, setting: Setting | None) -> None:
    """Say what keeps the change from being in force."""
    for variable in setting.variables if setting else ():
        if os.environ.get(variable):
            note(f"{variable} is set and wins over the file: type `unset {variable}`")
    if path.exists():
        try:
            read(str(path))
        except ConfigError as error:
            note(str(error))
