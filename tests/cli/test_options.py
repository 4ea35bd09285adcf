"""The fast parser and click's must agree on every command line that the fast one takes."""

from __future__ import annotations

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.cli.options import SAY_OPTIONS, parse_plain, wire_fields
from cosyd.cli.say_command import command
from cosyd.wire.messages import SAY

FLAGS = [flag for option in SAY_OPTIONS for flag in option.flags]
VALUES = ["af_heart", "1.5", "48000", "-1", "0", "9", "?", "-", "x y", "", "--", "nan", "1e400"]
ARGUMENTS = st.lists(
    st.one_of(
        st.sampled_from(FLAGS),
        st.sampled_from(VALUES),
        st.builds("{}={}".format, st.sampled_from(FLAGS), st.sampled_from(VALUES)),
        st.text(max_size=4),
    ),
    max_size=6,
)


def by_click(arguments: list[str]) -> dict[str, Any] | None:
    try:
        values = command.make_context("say", list(arguments)).params
    except (click.UsageError, click.exceptions.Exit):
        return None
    return {**values, "words": list(values["words"])}


@given(ARGUMENTS)
def test_what_the_fast_parser_takes_click_takes_the_same_way(arguments: list[str]) -> None:
    fast = parse_plain(arguments, SAY_OPTIONS)
    if fast is not None:
        assert fast == by_click(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["Hello", "there."],
        ["-v", "af_heart", "-o", "-", "Hello"],
        ["--voice=af_heart", "--rate=1.5", "Hello", "--progress", "-i"],
        ["--priority", "-3", "--", "-v", "is text"],
        ["-f", "-"],
        [],
    ],
)
def test_usual_command_lines_are_taken_by_the_fast_parser(arguments: list[str]) -> None:
    fast = parse_plain(arguments, SAY_OPTIONS)
    assert fast is not None
    assert fast == by_click(arguments)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-ip"], ["-vx"], ["-r", "9"], ["--nope"], ["-v"], ["--raw=1"]]
)
def test_unusual_ones_are_left_to_click(arguments: list[str]) -> None:
    assert parse_plain(arguments, SAY_OPTIONS) is None


def test_zeros_are_given_values_and_unset_flags_are_not() -> None:
    values = parse_plain(["--volume", "0", "--seed", "0", "--keep-alive", "0"], SAY_OPTIONS)
    assert values is not None
    assert wire_fields(values) == {"volume": 0.0, "seed": 0, "keep_alive": 0.0}


def test_every_wire_option_is_a_field_of_say() -> None:
    assert {o.name for o in SAY_OPTIONS if o.wire} <= {field.name for field in SAY}


def test_bytes_of_the_command_line_that_are_no_text_can_be_sent() -> None:
    values = parse_plain(["-v", "caf\udce9"], SAY_OPTIONS)
    assert values is not None
    assert values["voice"] == "caf\ufffd"
