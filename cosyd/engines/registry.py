"""Finding engines: ours by a table, anybody's through the entry-point group `cosyd.engines`."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Final

from cosyd.engines.base import Descriptor

GROUP: Final = "cosyd.engines"

_OURS: Final = {
    "cosyvoice2": "cosyd.engines.cosyvoice2:DESCRIPTOR",
    "kokoro": "cosyd.engines.kokoro:DESCRIPTOR",
    "tone": "cosyd.engines.tone:DESCRIPTOR",
}
"""The same as our own entry points; reading those of every package takes 20 ms."""


def _resolve(target: str) -> Descriptor:
    module, _, name = target.partition(":")
    descriptor = getattr(importlib.import_module(module), name)
    if not isinstance(descriptor, Descriptor):
        raise TypeError(f"{target} is no engine descriptor")
    return descriptor


def _foreign(name: str) -> str | None:
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group=GROUP, name=name)), None)


@cache
def find(name: str) -> Descriptor | None:
    """The engine called `name`, or None if no package brings it."""
    target = _OURS.get(name) or _foreign(name)
    return _resolve(target) if target else None


def names() -> list[str]:
    """All engines that packages bring, ours first."""
    from importlib.metadata import entry_points

    return list(dict.fromkeys([*_OURS, *(point.name for point in entry_points(group=GROUP))]))


@cache
def cloning() -> Descriptor | None:
    """The engine that new voices are cloned for, ours before others'; None: none can."""
    engines = (find(name) for name in names())
    return next((engine for engine in engines if engine and engine.clones), None)


def missing(descriptor: Descriptor) -> list[str]:
    """The import names that the engine needs and that cannot be found here."""
    return [name for name in descriptor.requires if importlib.util.find_spec(name) is None]
