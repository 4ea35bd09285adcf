"""The examples in the docstrings of the public face, run as they stand."""

from __future__ import annotations

import ast
import asyncio
import doctest
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import cosyd

DOCUMENTED: dict[str, Callable[..., Any]] = {
    "connect": cosyd.connect,
    "Client.say": cosyd.Client.say,
    "aconnect": cosyd.aconnect,
}


def _examples(documented: Callable[..., Any]) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(documented.__doc__ or "")


async def _run(examples: list[doctest.Example]) -> list[tuple[str, str]]:
    """Run them with `await` allowed at the top; (wanted, printed) of each."""
    names: dict[str, Any] = {"cosyd": cosyd}
    told = []
    for example in examples:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(example.source, "example", "single", flags=flags)
        with redirect_stdout(StringIO()) as printed:
            value = FunctionType(code, names)()
            if asyncio.iscoroutine(value):
                await value
        told.append((example.want, printed.getvalue()))
    return told


@pytest.mark.parametrize("documented", DOCUMENTED.values(), ids=list(DOCUMENTED))
def test_example(
    documented: Callable[..., Any],
    shared_home: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del shared_home
    monkeypatch.chdir(tmp_path)
    examples = _examples(documented)
    assert examples, "the docstring shows no example"
    told = asyncio.run(_run(examples))
    assert any(wanted for wanted, _ in told)
    for wanted, got in told:
        assert got == wanted
    assert os.listdir(tmp_path) in ([], ["hello.wav"])  # noqa: PTH208 - names are what matters
