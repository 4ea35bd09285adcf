"""Stands in for packages that the original imports and its inference does not use."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class Unused:
    """A base class of what is never made."""


def _same(function: Any) -> Any:
    return function


def _module(name: str, **content: Any) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    module.__path__ = []
    sys.modules[name] = module


def install() -> None:
    """Register them: before the original is imported."""
    _module("conformer", ConformerBlock=Unused)
    _module("lightning", LightningModule=Unused)
    _module("lightning.pytorch")
    _module("lightning.pytorch.utilities", rank_zero_only=_same, grad_norm=_same)
    found = importlib.util.find_spec("matcha")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("matcha: it comes with cosyvoice-minicpmo")
    # Its own `__init__` imports what training needs.
    _module("matcha.utils")
    sys.modules["matcha.utils"].__path__ = [
        f"{place}/utils" for place in found.submodule_search_locations
    ]
