"""Reading config.toml: what it holds, and what is wrong with it on which line."""

from __future__ import annotations

import errno
import os
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import example, given
from hypothesis import strategies as st

from cosyd import settings_file
from cosyd.config import Config, ConfigError, load
from cosyd.settings import SETTINGS, find
from cosyd.settings_file import MAX_BYTES, check, lines_of, parse, plain, read
from tests.test_settings import values

PATH = "/c/config.toml"
ROUGH = st.text(
    st.sampled_from("ab_1=#\"\\'[]{}., \t\n-") | st.characters(max_codepoint=0x3000), max_size=40
)
VALUES = ['"x"', '""', '"a b # c"', '"\\n"', "12", "-3", "007", "-0", "1_0", "0.5", "true"]
VALUES += ["'x'", '""""""', '"x', "[]", "[1,", "]", '"a" b', "１"]
LINES = st.lists(
    st.one_of(
        ROUGH,
        st.just(""),
        st.builds(
            "{}{} = {}{}".format,
            st.sampled_from(["", " ", "\t"]),
            st.text(string.ascii_lowercase + "_-.0", min_size=1, max_size=4),
            st.sampled_from(VALUES),
            st.sampled_from(["", "  ", " # why", "#", " x"]),
        ),
    )
).map("\n".join)


@given(LINES)
@example('a = "x"\r\n')
@example("a = 1\n= 2")
@example('a = "x" # \x00')
@example("a = 999999999999999999999")
def test_the_short_way_never_differs_from_tomllib(text: str) -> None:
    found = plain(text)
    if found is not None:
        assert found == tomllib.loads(text)
        assert [type(value) for value in found.values()] == [
            type(value) for value in tomllib.loads(text).values()
        ]


def test_what_people_write_goes_the_short_way() -> None:
    text = '# mine\n\nvoice = "bf_emma"  # she\n\tmax_queued=7\nkeep_alive = -1\n'
    assert plain(text) == {"voice": "bf_emma", "max_queued": 7, "keep_alive": -1}


def test_every_default_may_stand_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    shown = {s.key: s.show(Config._field_defaults[s.name]) for s in SETTINGS}
    file.write_text("".join(f"{key} = {value!r}\n" for key, value in shown.items()))
    assert load({}, file=str(file)) == Config()


@given(st.fixed_dictionaries({setting.name: values(setting) for setting in SETTINGS}))
def test_any_config_is_the_same_after_a_stay_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, Any]
) -> None:
    file = tmp_path_factory.getbasetemp() / "config.toml"
    shown = {find(name).key: find(name).show(value) for name, value in wanted.items()}
    file.write_text(tomlkit.dumps(shown), encoding="utf-8")
    assert load({}, file=str(file)) == Config(**wanted)


@given(st.text() | LINES)
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    try:
        check(PATH, text)
    except ConfigError as error:
        message = str(error)
        line = message.removeprefix(f"{PATH}:").partition(":")[0]
        assert 1 <= int(line) <= text.count("\n") + 1
        assert "\n" not in message and message.count("`cosy config ") == 1


@given(st.lists(st.sampled_from(["one", "two"]), max_size=12), st.randoms())
def test_every_key_is_found_where_it_begins(kinds: list[str], random: Any) -> None:
    lines: list[str] = []
    expected = {}
    for index, kind in enumerate(kinds):
        lines += random.choice([[], [""], ["# comment = 1"]])
        expected[f"k{index}"] = len(lines) + 1
        lines += [f"k{index} = 1"] if kind == "one" else [f"k{index} = [", "  1, # k0 = 2", "]"]
    assert lines_of("\n".join(lines)) == expected


@pytest.mark.parametrize(
    ("text", "line", "why", "hint"),
    [
        ("\nvoice = 3", 2, 'voice must be a name, not 3', "cosy config set voice VALUE"),
        ("# a\nkeep_alvie = 3", 2, "did you mean keep_alive?", "cosy config unset keep_alvie"),
        ("max_resident = true", 1, "from 1 to 1000, not true", "cosy config set max_resident"),
        ("max_resident = 0", 1, "from 1 to 1000, not 0", "cosy config set max_resident"),
        ('log_level = "loud"', 1, 'one of "debug", "info"', "cosy config set log_level"),
        ('keep_alive = "1m"\nkeep_alive_s = 3', 2, "be given once, not", "cosy config set keep"),
        ("[daemon]\nvoice = 'x'", 1, "stand in no section", "cosy config unset daemon"),
        ("voice =\n", 1, "invalid value", "cosy config edit"),
        ("voice = 'a'\nvoice = 'b'\n", 2, "cannot overwrite a value", "cosy config edit"),
        ("a = [[[\n", 1, "invalid value", "cosy config edit"),
        ("preload = [1]", 1, "a list of names, not [1]", "cosy config set preload"),
        ('data_dir = "models"', 1, 'must start with "/" or "~"', "cosy config set data_dir"),
        ("'x y' = 1", 1, 'called "x y"', "cosy config unset 'x y'"),
        ('"x\\ny" = 1', 1, "no setting", "cosy config edit"),
        ("voice = 'a\x01b'", 1, "invalid character", "cosy config edit"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line(text: str, line: int, why: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check(PATH, text)
    message = str(raised.value)
    assert message.startswith(f"{PATH}:{line}: ") and why in message and hint in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "1" * 20_000])
def test_nonsense_without_end_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{PATH}:1: .*cosy config"):
        parse(PATH, text)


def test_what_is_no_readable_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    with pytest.raises(ConfigError, match=f"{tmp_path} is a directory: set COSYD_CONFIG"):
        read(str(tmp_path))
    os.mkfifo(file)
    with pytest.raises(ConfigError, match=f"{file} is no file: remove it"):
        read(str(file))
    file.unlink()
    file.write_bytes(b'voice = "x"\n# \xff\n')
    with pytest.raises(ConfigError, match=f"{file}:2: not UTF-8"):
        read(str(file))
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match=f"over {MAX_BYTES} bytes"):
        read(str(file))
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(ConfigError, match=f"cannot read {file}: Too many levels"):
        load({}, file=str(file))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.touch()

    def refuse(path: str, _flags: int) -> int:  # as the system does, unless we are root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(settings_file, "_open_at_once", refuse)
    with pytest.raises(ConfigError, match=f"cannot read {file}: Permission denied; .*COSYD_CONFIG"):
        read(str(file))


def test_windows_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b'voice = "x"\r\nkeep_alive = 5\r\n')
    assert read(str(file)) == {"voice": "x", "keep_alive_s": 5.0}
    assert lines_of(file.read_bytes().decode()) == {"voice": 1, "keep_alive": 2}
    assert find("keep_alive").from_file(5) == 5.0
