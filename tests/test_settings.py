"""The table of settings: complete, and what it shows it reads again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.config import Config
from cosyd.settings import (
    BY_KEY,
    COUNT,
    DEVICE,
    DURATION,
    NAMES,
    PATHS,
    SETTINGS,
    SIZE,
    YEAR_S,
    BadValue,
    Setting,
    find,
)

WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)


def values(setting: Setting) -> st.SearchStrategy[Any]:
    """What `Config` may hold for it, and the file may give."""
    low = -YEAR_S if setting.low is None else setting.low
    high = YEAR_S if setting.high is None else setting.high
    if setting.choices:
        return st.sampled_from(setting.choices)
    if setting.kind is DURATION:
        whole = st.integers(math.ceil(low), int(high)).map(float)
        return st.floats(low, high, allow_nan=False).map(lambda x: x + 0.0) | whole
    if setting.kind in (COUNT, SIZE):
        return st.integers(int(low), int(high))
    if setting.kind is DEVICE:
        return st.sampled_from(["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:17"])
    if setting.kind is NAMES:
        return st.lists(WORDS).map(tuple)
    if setting.kind is PATHS:
        return st.lists(WORDS.map(lambda word: f"/{word}")).map(tuple)
    return WORDS.map(lambda word: f"/{word}")


SETTING_AND_VALUE = st.sampled_from(SETTINGS).flatmap(
    lambda setting: st.tuples(st.just(setting), values(setting))
)


def test_the_table_names_the_fields_of_config_in_their_order() -> None:
    assert tuple(setting.name for setting in SETTINGS) == Config._fields


def test_no_name_means_two_settings() -> None:
    keys = [key for setting in SETTINGS for key in setting.keys]
    assert len(keys) == len(set(keys)) == len(BY_KEY)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_is_of_its_own_kind(setting: Setting) -> None:
    default = Config._field_defaults[setting.name]
    found = setting.from_file(setting.show(default))
    assert found == default and type(found) is type(default)
    assert setting.help.endswith(".") and len(setting.help) <= 64


@given(SETTING_AND_VALUE)
def test_what_is_shown_is_read_again(case: tuple[Setting, Any]) -> None:
    setting, value = case
    assert setting.from_file(setting.show(value)) == value


@given(
    st.sampled_from(SETTINGS),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
)
def test_whatever_is_given_is_taken_or_refused_in_one_line(setting: Setting, value: Any) -> None:
    try:
        found = setting.from_file(value)
    except BadValue as error:
        assert str(error).isprintable() and "not " in str(error) and len(str(error)) < 200
    else:
        assert type(found) is type(Config._field_defaults[setting.name])
        assert setting.from_file(setting.show(found)) == found


@given(st.sampled_from(SETTINGS), st.text())
def test_whatever_is_typed_is_taken_or_refused(setting: Setting, text: str) -> None:
    try:
        found = setting.parse(text)
    except BadValue as error:
        assert str(error).isprintable()
    else:
        assert setting.check(setting.show(found)) == found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300", 300), ("90s", 90), ("5m", 300), ("5 min", 300), ("2h", 7200), ("1d", 86400),
     ("0.5s", 0.5), ("1.5H", 5400), ("-1", -1), ("0", 0), (" 7 s ", 7)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert find("keep_alive").parse(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "5x", "nan", "inf", "m", "5mm", "366d", "1e400"])
def test_no_durations(text: str) -> None:
    with pytest.raises(BadValue, match='must be a duration such as "90s", "5m" or "2h"'):
        find("keep_alive").parse(text)


@pytest.mark.parametrize(
    ("text", "megabytes"), [("0", 0), ("800", 800), ("800MB", 800), ("8GB", 8000), ("1.5gb", 1500)]
)
def test_sizes(text: str, megabytes: int) -> None:
    assert find("ram_budget").parse(text) == megabytes


@pytest.mark.parametrize("text", ["-1", "0.5MB", "8TB", "many", "nan", "1e300GB"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(BadValue, match='must be a size such as "800MB" or "8GB"'):
        find("ram_budget").parse(text)


def test_a_path_of_the_file_stands_alone() -> None:
    assert find("data_dir").from_file("~/x").startswith("/")
    assert find("data_dir").check("here") == "here"
    with pytest.raises(BadValue, match='must start with "/" or "~", not "here"'):
        find("data_dir").from_file("here")
    with pytest.raises(BadValue, match='must start with "/"'):
        find("voicepacks").from_file(["/a", "b"])


def test_lists_in_one_variable() -> None:
    assert find("preload").parse("a, b,,c") == ("a", "b", "c")
    assert find("voicepacks").parse("/a:/b") == ("/a", "/b")


def test_yes_is_no_number() -> None:
    with pytest.raises(BadValue, match="must be a whole number from 1 to 1000, not true"):
        find("max_resident").from_file(True)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(BadValue, match=r"did you mean keep_alive\?"):
        find("keep_alvie")
    with pytest.raises(BadValue, match=r'^no setting is called "xyzzy"$'):
        find("xyzzy")
