"""Changing config.toml: the one line that was meant, and nothing else."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.cli import config_file
from cosyd.cli.failure import Failure
from cosyd.config import ConfigError, load
from cosyd.settings import BadValue, find

VOICE = find("voice")
SETTINGS = ("voice_zh", "max_queued", "log_level", "preload", "backoff_s")
VALUES = ('"zm_yunxi"', "7", '"debug"', "[\n  'a', # one\n  'b',\n]", "0.5")
OTHER = st.sampled_from(list(zip(SETTINGS, VALUES, strict=True)))
BETWEEN = st.lists(
    st.sampled_from(["", "  ", "# voice = 'no'", "#", "\t# ünï 汉字", "# [section]"]), max_size=3
)
SPACE = st.sampled_from(["", " ", "   ", "\t"])
COMMENT = st.sampled_from(["", " # why", "   #", "\t# \"quoted\" = '1'"])
NAMES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12)


@st.composite
def documents(draw: Any, voice: bool) -> tuple[list[str], int]:
    """Lines as people write them, and the index where `voice` stands (or -1)."""
    pairs = draw(st.lists(OTHER, unique_by=lambda pair: pair[0]))
    place = draw(st.integers(0, len(pairs))) if voice else -1
    lines: list[str] = []
    found = -1
    for index, (key, value) in enumerate([*pairs, ("", "")]):
        lines += draw(BETWEEN)
        if index == place:
            found = len(lines)
            lines.append(f"{draw(SPACE)}voice{draw(SPACE)}={draw(SPACE)}'old'{draw(COMMENT)}")
        if key:
            lines += f"{draw(SPACE)}{key}{draw(SPACE)}={draw(SPACE)}{value}{draw(COMMENT)}".split(
                "\n"
            )
    return lines, found


def changed(folder: Path, text: str, change: Any) -> str:
    """What `change` makes of a file with `text`."""
    file = folder / "config.toml"
    file.write_bytes(text.encode())
    change(file)
    return file.read_bytes().decode()


@given(documents(voice=True), NAMES.filter(str.strip), st.sampled_from(["\n", "\r\n"]))
def test_set_changes_one_line(
    tmp_path_factory: pytest.TempPathFactory,
    document: tuple[list[str], int],
    name: str,
    line_end: str,
) -> None:
    lines, place = document
    before = line_end.join([*lines, ""])
    after = changed(
        tmp_path_factory.getbasetemp(),
        before,
        lambda file: config_file.set_value(file, VOICE, name),
    )
    new = after.split(line_end)
    assert new[:place] == lines[:place] and new[place + 1 :] == [*lines[place + 1 :], ""]
    head, old, tail = lines[place].partition("'old'")
    assert old and new[place].startswith(head) and new[place].endswith(tail)
    assert tomllib.loads(after) == {**tomllib.loads(before), "voice": name}


@given(documents(voice=False), st.booleans())
def test_set_of_a_new_key_adds_one_line(
    tmp_path_factory: pytest.TempPathFactory, document: tuple[list[str], int], ended: bool
) -> None:
    lines, _ = document
    before = "\n".join([*lines, ""] if ended else lines)
    after = changed(
        tmp_path_factory.getbasetemp(), before, lambda f: config_file.set_value(f, VOICE, "x")
    )
    new = after.split("\n")
    new.remove('voice = "x"')
    assert "\n".join(new).rstrip("\n") == before.rstrip("\n")
    assert tomllib.loads(after) == {**tomllib.loads(before), "voice": "x"}


@given(documents(voice=True))
def test_unset_takes_one_line(
    tmp_path_factory: pytest.TempPathFactory, document: tuple[list[str], int]
) -> None:
    lines, place = document
    folder = tmp_path_factory.getbasetemp()
    after = changed(
        folder, "\n".join([*lines, ""]), lambda file: config_file.unset(file, ("voice",))
    )
    assert after.split("\n") == [*lines[:place], *lines[place + 1 :], ""]


@pytest.mark.parametrize(
    ("key", "words", "value"),
    [
        ("keep_alive", ["10m"], "10m"),
        ("keep_alive", ["-1"], -1),
        ("keep_alive_s", ["0.5"], 0.5),
        ("ram_budget", ["8GB"], "8GB"),
        ("max_queued", ["7"], 7),
        ("preload", ["a,b", "c"], ["a", "b", "c"]),
        ("preload", [""], []),
        ("voice", ["my", "own"], "my own"),
        ("data_dir", ["~/x"], "~/x"),
    ],
)
def test_what_is_typed_is_what_is_written(key: str, words: list[str], value: Any) -> None:
    found = config_file.typed(find(key), words)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("keep_alive", ["soon"]),
        ("max_queued", ["1.5"]),
        ("max_queued", ["1", "2"]),
        ("log_level", ["loud"]),
        ("data_dir", ["here"]),
        ("data_dir", ["/\udcff"]),
        ("voice", [" "]),
    ],
)
def test_what_is_wrong_is_not_written(key: str, words: list[str]) -> None:
    with pytest.raises(BadValue, match=r"^must "):
        config_file.typed(find(key), words)


def test_file_and_directory_are_made(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "config.toml"
    config_file.set_value(file, VOICE, "x")
    assert file.read_text() == 'voice = "x"\n'
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_key_given_twice_is_given_once_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('keep_alive_s = 1\nvoice = "x"\nkeep_alive = 2\n')
    config_file.set_value(file, find("keep_alive_s"), 3)
    assert file.read_text() == 'voice = "x"\nkeep_alive = 3\n'


def test_a_key_comes_before_a_section_that_is_not_ours(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[other]\nvoice = 1\n")
    config_file.set_value(file, VOICE, "x")
    assert tomllib.loads(file.read_text()) == {"voice": "x", "other": {"voice": 1}}
    assert config_file.unset(file, ["other"])
    assert tomllib.loads(file.read_text()) == {"voice": "x"}


def test_links_and_modes_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "c.toml", tmp_path / "config.toml"
    real.parent.mkdir()
    real.write_text('voice = "x"\n')
    real.chmod(0o640)
    link.symlink_to(real)
    config_file.set_value(link, VOICE, "y")
    assert link.is_symlink() and real.read_text() == 'voice = "y"\n'
    assert real.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in real.parent.iterdir()] == ["c.toml"]


def test_what_is_no_toml_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("voice = \n")
    with pytest.raises(ConfigError, match=f"{file}:1: .*cosy config edit"):
        config_file.set_value(file, VOICE, "x")
    assert file.read_text() == "voice = \n"


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file" / "config.toml"
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match=f"cannot write {file}: .*; set COSYD_CONFIG"):
        config_file.set_value(file, VOICE, "x")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="No space left"):
        config_file.set_value(file, VOICE, "x")
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]
    assert file.read_text() == "# mine\n"


def test_changes_at_once_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    names = ["voice", "voice_zh", "precision", "device", "log_level", "log_format", "socket"]
    values = ["x", "x", "fp32", "cpu", "debug", "json", "/x"]
    threads = [
        Thread(target=config_file.set_value, args=(file, find(name), value))
        for name, value in zip(names, values, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = load({}, file=str(file))
    assert [getattr(found, name) for name in names] == values
