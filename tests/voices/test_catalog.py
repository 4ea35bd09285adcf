"""The catalog: finds, prefers the first, notices changes, survives broken packs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cosyd.errors import VoiceNotFound
from cosyd.voices.catalog import Catalog

PACK = "family: tone\nmodel_id: {0}\naudio: {{sample_rate: 24000}}\nlicense: x\n"


def add(root: Path, name: str, model: str = "tone") -> Path:
    pack = root / "tone" / name
    pack.mkdir(parents=True)
    (pack / "metadata.yaml").write_text(PACK.format(model))
    return pack


def test_first_directory_wins(tmp_path: Path) -> None:
    add(tmp_path / "user", "anna", "mine")
    add(tmp_path / "system", "anna", "theirs")
    add(tmp_path / "system", "bert")
    voices = Catalog([tmp_path / "user", tmp_path / "system", tmp_path / "nowhere"]).voices()
    assert {name: voice.model for name, voice in voices.items()} == {"anna": "mine", "bert": "tone"}


def test_notices_a_new_voice(tmp_path: Path) -> None:
    add(tmp_path, "anna")
    catalog = Catalog([tmp_path])
    assert set(catalog.voices()) == {"anna"}
    _sibling(tmp_path)
    assert set(catalog.voices()) == {"anna", "bert"}


def _sibling(root: Path) -> None:
    pack = root / "tone" / "bert"
    pack.mkdir()
    (pack / "metadata.yaml").write_text(PACK.format("tone"))
    family = root / "tone"
    later = family.stat().st_mtime_ns + 10**9  # whatever the file system's clock resolves
    os.utime(family, ns=(later, later))


def test_broken_pack_hides_only_itself(tmp_path: Path) -> None:
    add(tmp_path, "anna")
    (tmp_path / "tone" / "bad").mkdir()
    (tmp_path / "tone" / "stray-file").write_text("x")
    assert set(Catalog([tmp_path]).voices()) == {"anna"}


@pytest.mark.parametrize(("asked", "hint"), [("ana", "anna"), ("ANNA", "anna"), ("zzz", "lists")])
def test_unknown_voice(tmp_path: Path, asked: str, hint: str) -> None:
    add(tmp_path, "anna")
    with pytest.raises(VoiceNotFound, match=hint):
        Catalog([tmp_path]).find(asked)


def test_a_prompt_is_part_of_the_name(tmp_path: Path) -> None:
    pack = add(tmp_path, "anna")
    with (pack / "metadata.yaml").open("a") as file:
        file.write("prompts: {available: [{name: a, path: a.wav}, {name: b, path: b.wav}]}\n")
    catalog = Catalog([tmp_path])
    assert catalog.find("anna").default_prompt == "a"
    assert catalog.find("anna/b").default_prompt == "b"
    with pytest.raises(VoiceNotFound, match="anna/a, anna/b"):
        catalog.find("anna/c")
    with pytest.raises(VoiceNotFound, match="did you mean anna"):
        catalog.find("ana/b")


def test_what_is_being_made_is_hidden(tmp_path: Path) -> None:
    add(tmp_path, ".draft-1")
    add(tmp_path, "anna")
    assert set(Catalog([tmp_path]).voices()) == {"anna"}
