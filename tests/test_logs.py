"""Logs are JSON lines and never hold what was spoken."""

from __future__ import annotations

import json
import logging

import pytest

from cosyd import logs


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    log = logging.getLogger("cosyd.test")
    logs.event(log, "said", id=3, **logs.text_facts("my secret"))
    logs.event(log, "hidden", level=logging.DEBUG)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "secret" not in lines[0]
    line = json.loads(lines[0])
    assert (line["event"], line["id"], line["chars"]) == ("said", 3, 9)


def test_hash_tells_texts_apart_and_repeats() -> None:
    assert logs.text_facts("a") == logs.text_facts("a") != logs.text_facts("b")


def test_bugs_show_where_and_not_what(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    try:
        raise ValueError("my secret")
    except ValueError as error:
        logs.event(logging.getLogger("cosyd.test"), "bug", **logs.bug_facts(error))
        logging.getLogger("foreign").error("oops", exc_info=error)
    text = capsys.readouterr().err
    assert "secret" not in text and text.count("test_logs.py") == 2 and "ValueError" in text
