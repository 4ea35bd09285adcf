"""Settings: defaults, environment, flags, in that order of strength."""

from __future__ import annotations

import pytest

from cosyd.config import Config, ConfigError, load


def test_everything_has_a_default() -> None:
    assert load({}) == Config()


def test_flags_beat_environment() -> None:
    env = {"COSYD_VOICE": "bf_emma", "COSYD_KEEP_ALIVE": "10"}
    assert load(env).voice == "bf_emma" and load(env).keep_alive_s == 10.0
    assert load(env, {"voice": "anna", "keep_alive_s": None}).voice == "anna"
    assert load(env, {"keep_alive_s": None}).keep_alive_s == 10.0


def test_long_and_short_names() -> None:
    assert load({"COSYD_IDLE_TIMEOUT_S": "5"}).idle_timeout_s == 5.0
    assert load({"COSYD_IDLE_TIMEOUT": "5"}).idle_timeout_s == 5.0


def test_empty_is_not_given() -> None:
    assert load({"COSYD_VOICE": ""}).voice == Config().voice


@pytest.mark.parametrize("name", ["COSYD_KEEP_ALIVE_S", "COSYD_MAX_QUEUED"])
def test_wrong_value_names_the_variable(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be a number"):
        load({name: "soon"})
