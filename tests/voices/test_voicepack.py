"""Manifests: read whole, wrong ones named, nothing built from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.errors import VoiceNotFound
from cosyd.voices.voicepack import BadVoicepack, Prompt, load, parse

GOOD: dict[str, Any] = {
    "name": "anna",
    "family": "tone",
    "model_id": "tone",
    "languages": ["en"],
    "capabilities": ["speed"],
    "audio": {"sample_rate": 24000, "loudness_lufs": -20},
    "license": "CC0-1.0",
}


def test_good() -> None:
    pack = parse(GOOD, Path("/x/anna"))
    assert (pack.name, pack.engine, pack.model, pack.sample_rate) == ("anna", "tone", "tone", 24000)
    assert pack.loudness_lufs == -20.0 and pack.path == Path("/x/anna")


def test_name_is_the_directory_if_not_given() -> None:
    data = {key: value for key, value in GOOD.items() if key != "name"}
    assert parse(data, Path("/x/bert")).name == "bert"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("family", None),
        ("model_id", 7),
        ("languages", "en"),
        ("languages", [1]),
        ("capabilities", ["flying"]),
        ("audio", {}),
        ("audio", {"sample_rate": "24000"}),
        ("audio", {"sample_rate": True}),
        ("audio", {"sample_rate": 24000, "loudness_lufs": "loud"}),
        ("license", None),
        ("name", "a/b"),
        ("speaker", 7),
        ("prompts", ["a.wav"]),
        ("prompts", {"available": {"name": "a"}}),
        ("prompts", {"available": ["a.wav"]}),
        ("prompts", {"available": [{"name": "a"}]}),
        ("prompts", {"available": [{"path": "a.wav"}]}),
        ("prompts", {"available": [{"name": "a", "path": "/etc/passwd"}]}),
        ("prompts", {"available": [{"name": "a", "path": "../../secret.wav"}]}),
        ("prompts", {"available": [{"name": "a", "path": "a.wav", "text": 7}]}),
        ("prompts", {"available": [{"name": "a", "path": "a.wav"}], "default": "b"}),
        ("prompts", {"default": "a"}),
    ],
)
def test_wrong_field_is_named(key: str, value: object) -> None:
    with pytest.raises(BadVoicepack, match=r"metadata\.yaml"):
        parse(GOOD | {key: value}, Path("/x"))


PROMPTS: dict[str, Any] = {
    "default": "calm",
    "available": [
        {"name": "happy", "path": "prompts/happy.wav", "text": "Ha!"},
        {"name": "calm", "path": "prompts/calm.wav"},
    ],
}


def test_prompts() -> None:
    pack = parse(GOOD | {"prompts": PROMPTS}, Path("/x/anna"))
    assert pack.prompt == Prompt("calm", Path("/x/anna/prompts/calm.wav"), "")
    happy = pack.with_prompt("happy")
    assert happy.prompt == Prompt("happy", Path("/x/anna/prompts/happy.wav"), "Ha!")
    assert happy.prompts == pack.prompts
    with pytest.raises(VoiceNotFound, match="'sad': there is anna/happy, anna/calm"):
        pack.with_prompt("sad")


def test_the_first_prompt_is_the_default_one_if_none_is_named() -> None:
    prompts = {"available": PROMPTS["available"]}
    assert parse(GOOD | {"prompts": prompts}, Path("/x")).default_prompt == "happy"


def test_a_voice_inside_the_weights_has_no_prompt() -> None:
    pack = parse(GOOD | {"speaker": "中文女"}, Path("/x"))
    assert (pack.speaker, pack.prompt, pack.default_prompt) == ("中文女", None, None)
    with pytest.raises(VoiceNotFound, match="say anna alone"):
        pack.with_prompt("happy")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_anything_else_is_refused(data: object) -> None:
    with pytest.raises(BadVoicepack):
        parse(data, Path("/x"))


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "!!python/object/apply:os.system ['true']",
        "name: !!python/name:os.system",
        "- 1",
        "",
    ],
)
def test_broken_or_wicked_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.yaml").write_text(text)
    with pytest.raises(BadVoicepack, match=str(tmp_path)):
        load(tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadVoicepack, match="No such file"):
        load(tmp_path)
