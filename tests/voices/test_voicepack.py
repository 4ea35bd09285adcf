"""Manifests: read whole, wrong ones named, nothing built from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.voices.voicepack import BadVoicepack, load, parse

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
    ],
)
def test_wrong_field_is_named(key: str, value: object) -> None:
    with pytest.raises(BadVoicepack, match=r"metadata\.yaml"):
        parse(GOOD | {key: value}, Path("/x"))


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
