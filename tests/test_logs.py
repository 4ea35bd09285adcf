"""Logs are lines for people, programs or the journal, and never hold what was spoken."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd import logs

ROOT = Path(__file__).parents[1]
HEAD = ["ts", "level", "logger", "process", "event"]
LOG = logging.getLogger("cosyd.test")


def formatted(form: str, journal: bool, name: str, fields: dict[str, Any], level: int = 20) -> str:
    """One line as a handler would write it."""
    record = logging.LogRecord("cosyd.x", level, __file__, 1, name, (), None)
    record.fields = fields
    return logs._FORMATTERS[form](journal).format(record)


@pytest.fixture(params=["text", "json"])
def form(request: pytest.FixtureRequest) -> str:
    """Each format."""
    return str(request.param)


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", {})
    logs.event(LOG, "said", id=3, **logs.text_facts("my secret"))
    logs.event(LOG, "hidden", level=logging.DEBUG)
    (text,) = capsys.readouterr().err.splitlines()
    line = json.loads(text)
    assert list(line)[:5] == HEAD and "secret" not in text
    assert (line["event"], line["level"], line["logger"]) == ("said", "info", "cosyd.test")
    assert (line["id"], line["chars"], line["process"]) == (3, 9, os.getpid())


def test_text_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("debug", "text", {})
    logs.event(LOG, "said", level=logging.DEBUG, id=3, why="no such file", path="/x", none=None)
    (line,) = capsys.readouterr().err.splitlines()
    stamp, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert rest == (
        f'debug cosyd.test[{os.getpid()}] said id=3 why="no such file" path=/x none=null'
    )


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3)]
)
def test_the_journal_gets_priorities_and_no_time(level: str, priority: int) -> None:
    number = getattr(logging, level.upper())
    line = formatted("text", True, "said", {"id": 3}, number)
    assert line == f"<{priority}>cosyd.x: said id=3"
    line = formatted("json", True, "said", {"id": 3}, number)
    assert line.startswith(f"<{priority}>{{") and json.loads(line[3:])["id"] == 3


def test_stderr_is_the_journal_only_if_it_is_the_named_stream() -> None:
    code = "import logging; from cosyd import logs; logs.set_up('info'); "
    code += "logs.event(logging.getLogger('cosyd.t'), 'said')"
    reading, writing = os.pipe()
    found = os.fstat(writing)
    for stream, start in (
        (f"{found.st_dev}:{found.st_ino}", b"<6>cosyd.t: said\n"),
        (f"{found.st_dev}:{found.st_ino + 1}", b"2"),
        ("", b"2"),
    ):
        env = {**os.environ, "JOURNAL_STREAM": stream}
        subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, stderr=writing, check=True)
        assert os.read(reading, 4096).startswith(start)
    os.close(reading)
    os.close(writing)


def test_a_closed_stderr_is_not_the_journal() -> None:
    assert not logs._is_journal({"JOURNAL_STREAM": "1:2"}, 1 << 20)


FIELDS = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
)


@given(st.text(), FIELDS, st.booleans())
def test_an_event_is_one_line_whatever_it_holds(
    name: str, fields: dict[str, Any], journal: bool
) -> None:
    line = formatted("json", journal, name, fields)
    assert line.isascii() and line.isprintable()
    read = json.loads(line.removeprefix("<6>"))
    assert {key: value for key, value in fields.items() if key not in HEAD}.items() <= read.items()
    assert read["logger"] == "cosyd.x"
    named = {f"f{index}": value for index, value in enumerate(fields.values())}
    assert formatted("text", journal, "said", named).isprintable()


def test_no_field_is_called_as_what_every_line_has() -> None:
    for file in (ROOT / "cosyd").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "event":
                names = {keyword.arg for keyword in node.keywords} - {"level"}
                assert not names & set(HEAD), f"{file}:{node.lineno}"


def test_hash_tells_texts_apart_and_repeats() -> None:
    assert logs.text_facts("a") == logs.text_facts("a") != logs.text_facts("b")


def test_bugs_show_where_and_not_what(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", form, {})
    try:
        raise ValueError("my secret")
    except ValueError as error:
        logs.event(LOG, "bug", **logs.bug_facts(error))
        logging.getLogger("foreign").error("oops", exc_info=error)
    text = capsys.readouterr().err
    assert "secret" not in text and text.count("test_logs.py") == 2 and "ValueError" in text
    assert len(text.splitlines()) == 2


def test_a_task_that_failed_unseen_is_told_without_its_message(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", form, {})

    async def fail() -> None:
        raise ValueError("my secret")

    async def forget() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        del task

    asyncio.run(forget())
    text = capsys.readouterr().err
    assert "never retrieved" in text and "ValueError" in text
    assert "secret" not in text and len(text.splitlines()) == 1
