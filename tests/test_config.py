"""Settings: defaults, file, environment, flags, in that order of strength."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd import config
from cosyd.config import Config, ConfigError, load
from cosyd.settings import SETTINGS, Setting


def write(folder: Path, text: str) -> str:
    """A file with `text`; its path."""
    file = folder / "config.toml"
    file.write_text(text)
    return str(file)


def test_everything_has_a_default(tmp_path: Path) -> None:
    assert load({}) == load({}, file=str(tmp_path / "none")) == Config()


def test_each_beats_the_one_before(tmp_path: Path) -> None:
    file = write(tmp_path, 'voice = "file"\nkeep_alive = "1m"\nmax_queued = 7\n')
    env = {"COSYD_VOICE": "environment", "COSYD_KEEP_ALIVE": "2m"}
    found = load(env, {"voice": "flag", "keep_alive_s": None}, file)
    assert (found.voice, found.keep_alive_s, found.max_queued) == ("flag", 120.0, 7)
    where = {name: each[1:] for name, each in config.given(env, {"voice": "flag"}, file).items()}
    assert where == {
        "voice": ("flag", "--voice"),
        "keep_alive_s": ("environment", "COSYD_KEEP_ALIVE"),
        "max_queued": ("file", file),
    }


PLACES = st.sets(st.sampled_from(["file", "environment", "flag"]))


@given(st.dictionaries(st.sampled_from([s for s in SETTINGS if s.name.endswith("_s")]), PLACES))
def test_the_strongest_place_wins(
    tmp_path_factory: pytest.TempPathFactory, plan: dict[Setting, set[str]]
) -> None:
    seconds = {"file": 1.0, "environment": 2.0, "flag": 3.0}
    lines = [f"{s.key} = {seconds['file']}\n" for s in plan if "file" in plan[s]]
    file = write(tmp_path_factory.getbasetemp(), "".join(lines))
    env = {s.variables[-1]: "2s" for s in plan if "environment" in plan[s]}
    flags = {s.name: "3" for s in plan if "flag" in plan[s]}
    found = load(env, flags, file)
    for setting in SETTINGS:
        places = plan.get(setting, set())
        default = getattr(Config(), setting.name)
        strongest = max((seconds[place] for place in places), default=default)
        assert getattr(found, setting.name) == strongest


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_by_every_name(setting: Setting, tmp_path: Path) -> None:
    text, value = sample(setting)
    for variable in setting.variables:
        assert getattr(load({variable: text}), setting.name) == value
    for key in setting.keys:
        file = write(tmp_path, f"{key} = {toml(value)}\n")
        assert getattr(load({}, file=file), setting.name) == value
    assert getattr(load({}, {setting.name: text}), setting.name) == value


def sample(setting: Setting) -> tuple[str, Any]:
    """(As typed, as `Config` holds it) of some value that is not the default."""
    default = Config._field_defaults[setting.name]
    if setting.choices:
        return setting.choices[-1], setting.choices[-1]
    if setting.name == "device":
        return "cuda:1", "cuda:1"
    if isinstance(default, tuple):
        return "/x", ("/x",)
    if isinstance(default, float):
        return "7", 7.0
    return ("5", 5) if isinstance(default, int) else ("/x", "/x")


def toml(value: Any) -> str:
    """`value` in TOML."""
    return (
        str(list(value) if isinstance(value, tuple) else value)
        if not isinstance(value, str)
        else f'"{value}"'
    )


def test_a_variable_without_the_unit_wins() -> None:
    assert load({"COSYD_IDLE_TIMEOUT_S": "5", "COSYD_IDLE_TIMEOUT": "6"}).idle_timeout_s == 6.0


def test_empty_is_not_given() -> None:
    assert load({"COSYD_VOICE": ""}).voice == Config().voice


@pytest.mark.parametrize(
    ("name", "must"),
    [("COSYD_KEEP_ALIVE_S", "a duration such as"), ("COSYD_MAX_QUEUED", "a whole number from 0")],
)
def test_a_wrong_value_names_the_variable(name: str, must: str) -> None:
    with pytest.raises(ConfigError, match=f'^{name} must be {must}.*, not "soon": .*`unset {name}'):
        load({name: "soon"})


def test_a_wrong_value_names_the_flag() -> None:
    with pytest.raises(ConfigError, match=r"^--keep-alive must be .*: `cosyd --help`"):
        load({}, {"keep_alive_s": "soon"})
    with pytest.raises(ConfigError, match=r"^--max-resident must be .* from 1 to 1000, not 0"):
        load({}, {"max_resident": 0})


def test_a_slip_in_a_variable_is_told_and_other_variables_are_not_ours() -> None:
    with pytest.raises(ConfigError, match=r"COSYD_KEEP_ALVE \(did you mean COSYD_KEEP_ALIVE\?\)"):
        load({"COSYD_KEEP_ALVE": "5"})
    assert load({"COSYD_SOMEBODY_ELSE": "x", "COSYD_CONFIG": "-"}) == Config()


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    named = str(tmp_path / "none")
    with pytest.raises(ConfigError, match=f"COSYD_CONFIG names {named}, which does not exist"):
        load({"COSYD_CONFIG": named}, file=named)


def test_a_home_that_is_no_directory_holds_no_settings() -> None:
    assert load({}, file="/dev/null/.config/cosyd/config.toml") == Config()
