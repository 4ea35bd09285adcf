"""What the shell offers after TAB for values: voices, models, devices, files. Fast and silent.

Nothing here asks the daemon: a shell that waits for one that hangs would hang too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import click

from cosyd.config import Config, ConfigError, load
from cosyd.paths import config_file, voicepack_dirs

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from cosyd.voices.voicepack import Voicepack

Suggest = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _config() -> Config:
    try:
        return load(os.environ, file=config_file(os.environ))
    except ConfigError:  # `cosy doctor` tells; a shell must not
        return Config()


def _voicepacks() -> Iterable[Voicepack]:
    import logging

    from cosyd.voices.catalog import Catalog

    logging.disable()  # broken voicepacks are told elsewhere
    return Catalog(voicepack_dirs(_config())).voices().values()


def _items(found: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    wanted = dict(sorted((name, text) for name, text in found if name.startswith(incomplete)))
    return [CompletionItem(name, help=text or None) for name, text in wanted.items()]


def voices(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Voices by name; once a "/" is typed their prompts too."""
    del ctx, param
    packs = list(_voicepacks())
    found = [(pack.name, pack.description) for pack in packs]
    if "/" in incomplete:
        found = [(f"{p.name}/{prompt.name}", prompt.text) for p in packs for prompt in p.prompts]
    return _items(found, incomplete)


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models that voices need."""
    del ctx, param
    return _items(((pack.model, f"engine {pack.engine}") for pack in _voicepacks()), incomplete)


def devices(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sound devices by number, described by name."""
    from cosyd.audio.player import NoSound, list_devices

    del ctx, param
    try:
        return _items(((str(each.number), each.name) for each in list_devices()), incomplete)
    except NoSound:
        return []


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever the shell offers for files."""
    from click.shell_completion import CompletionItem

    del ctx, param
    return [CompletionItem(incomplete, type="file")]


FOR_SAY: Final[dict[str, Suggest]] = {
    "voice": voices,
    "device": devices,
    "file": files,
    "output": files,
    "or_output": files,
}
"""Option of `cosy say` → what fits; the others take any value."""
