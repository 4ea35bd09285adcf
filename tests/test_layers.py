"""Which part may import which, and what a start must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cosyd"

# Part → what of cosyd it may import besides itself. Arrows point one way: who is named here
# never names who names it (the test below sees to that).
ALLOWED = {
    "version": set[str](),
    "errors": set[str](),
    "settings": set[str](),
    "settings_file": {"settings"},
    "config": {"settings", "settings_file"},
    "logs": set[str](),
    "lifeline": set[str](),
    "prometheus": set[str](),
    "paths": {"config"},
    "rendezvous": {"errors"},
    "wire": {"errors"},
    "audio": {"errors"},
    "text": {"errors"},
    "voices": {"audio.loudness", "errors", "lifeline", "logs"},
    "link": {"errors", "logs", "wire.fields", "wire.framing"},
    "engines": {
        *("config", "errors", "logs", "paths", "text", "voices.recording", "voices.voicepack"),
    },
    "worker": {
        *("audio.chain", "audio.loudness", "engines.base", "engines.registry", "errors"),
        *("lifeline", "link.orders", "logs", "voices.voicepack", "wire.messages"),
    },
    "client": {
        *("audio.player", "audio.wav", "config", "errors", "paths", "rendezvous"),
        *("wire.connection", "wire.inbox", "wire.messages"),
    },
    "daemon": {
        *("audio.framer", "config", "engines.base", "engines.registry", "errors", "link.host"),
        *("logs", "paths", "prometheus", "rendezvous", "settings", "version", "voices.catalog"),
        *("voices.store", "voices.voicepack", "wire"),
    },
    "cli": {
        *("audio.device", "audio.player", "audio.wav", "client", "config", "errors", "paths"),
        *("audio.pipeplayer", "engines.cosyvoice2.pull", "engines.kokoro", "engines.registry"),
        *("prometheus", "settings"),
        *("settings_file", "version", "voices.catalog", "voices.voicepack", "wire"),
    },
}

HEAVY = {"numpy", "torch", "onnxruntime", "soxr", "sounddevice"}
"""Modules that cost much memory or time."""

MAY_BE_HEAVY = {"audio", "engines", "worker", "text", "voices.recording"}
"""Who may import those (audio.framer and audio.wav may not)."""

LIGHT = {"audio.framer", "audio.wav", "audio.device", "audio.player", "engines.base"}

MAY_BE_ASYNC = {"daemon", "link.host", "client.aio", "client.stream"}
"""Who may import asyncio."""


def _within(module: str, parts: set[str]) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def _modules() -> Iterator[tuple[str, Path]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(file.relative_to(PACKAGE).with_suffix("").parts), file


def _exists(module: str) -> bool:
    path = PACKAGE.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )


def _imports(node: ast.AST) -> Iterator[str]:
    """Full names of all modules that `node` imports when it runs, at the top or inside."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide the arrows"
            module = child.module or ""
            for alias in child.names:
                inner = f"{module}.{alias.name}".removeprefix("cosyd.")
                yield f"cosyd.{inner}" if module == "cosyd" and _exists(inner) else module
        elif not _is_type_checking(child):
            yield from _imports(child)


EDGES = {
    module: set(_imports(ast.parse(file.read_text(encoding="utf-8"))))
    for module, file in _modules()
}


def test_every_part_is_in_the_table() -> None:
    assert {module.split(".")[0] for module in EDGES} - {"__init__"} <= ALLOWED.keys()


@pytest.mark.parametrize("module", [module for module in EDGES if module != "__init__"])
def test_imports_only_what_it_may(module: str) -> None:
    part = module.split(".")[0]
    for imported in EDGES[module]:
        inner = imported.removeprefix("cosyd.")
        if not imported.startswith("cosyd.") or _within(inner, {part}):
            continue
        assert _within(inner, ALLOWED[part]), f"cosyd.{module} imports {imported}"


def test_arrows_point_one_way() -> None:
    def reached(part: str, seen: frozenset[str]) -> None:
        assert part not in seen, f"a circle: {sorted(seen)}"
        for name in ALLOWED[part]:
            reached(name.split(".")[0], seen | {part})

    for part in ALLOWED:
        reached(part, frozenset())


@pytest.mark.parametrize("module", list(EDGES))
def test_only_these_are_heavy(module: str) -> None:
    if _within(module, MAY_BE_HEAVY) and not _within(module, LIGHT):
        return
    tops = {imported.split(".")[0] for imported in EDGES[module]}
    assert not tops & HEAVY, module


@pytest.mark.parametrize("module", list(EDGES))
def test_only_these_know_of_asyncio(module: str) -> None:
    if not _within(module, MAY_BE_ASYNC):
        assert not {name for name in EDGES[module] if name.split(".")[0] in ("asyncio", "uvloop")}


def test_the_daemon_runs_workers_and_never_imports_one() -> None:
    for module, imported in EDGES.items():
        if not _within(module, {"worker"}):
            assert not {name for name in imported if _within(name, {"cosyd.worker"})}, module


STARTS = {
    "cosyd": {
        *("asyncio", "subprocess", "dataclasses", "inspect", "socket", "msgpack", "tomllib"),
        *HEAVY,
    },
    "cosyd.client.sync": {
        *("asyncio", "subprocess", "dataclasses", "inspect", "click", "tomllib", *HEAVY),
    },
    "cosyd.client.aio": HEAVY,
    "cosyd.daemon.main": {"cosyd.worker", "cosyd.cli", "click", *HEAVY},
    "cosyd.cli": {"asyncio", "subprocess", "dataclasses", "inspect", "tomllib", "tomlkit", *HEAVY},
}
"""Module → what importing it must not load."""


@pytest.mark.parametrize("module", list(STARTS))
def test_a_start_loads_nothing_it_does_not_need(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & STARTS[module]


def test_the_public_face_is_complete() -> None:
    code = "import cosyd; print(all(getattr(cosyd, name) for name in cosyd.__all__), dir(cosyd))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("True"), done.stderr
    assert "'connect'" in done.stdout


def test_the_version_is_told_once() -> None:
    import cosyd

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["version"]["path"] == "cosyd/version.py"
    assert f'VERSION = "{cosyd.__version__}"' in (PACKAGE / "version.py").read_text()


def test_an_unknown_name_is_an_attribute_error() -> None:
    import cosyd

    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = cosyd.nothing_like_it
