"""Engines are found by name, ours and foreign ones, without importing any ML package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from cosyd.engines import registry
from cosyd.engines.base import Descriptor


@pytest.mark.parametrize("name", ["cosyvoice2", "kokoro", "tone"])
def test_ours(name: str) -> None:
    descriptor = registry.find(name)
    assert descriptor is not None and descriptor.name == name


def test_unknown() -> None:
    assert registry.find("no-such-engine") is None


def test_table_and_entry_points_agree() -> None:
    points = {p.name: p.value for p in entry_points(group=registry.GROUP)}
    assert {name: points.get(name) for name in registry._OURS} == registry._OURS


def test_what_is_missing_is_named() -> None:
    found = Descriptor("x", "x:y", ("json", "no_such_module_xyz"), "", (), 1, "")
    assert registry.missing(found) == ["no_such_module_xyz"]


def test_descriptors_import_no_ml_package() -> None:
    code = (
        "import sys; from cosyd.engines import registry as r; "
        "[r.find(n) for n in r._OURS]; "
        "print(sorted({'numpy','torch','onnxruntime','jieba','wetext'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
