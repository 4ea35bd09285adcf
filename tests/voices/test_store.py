"""Voicepacks are written whole or not at all, by whom they belong to, and removed whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import cosyd.voices.store as store
from cosyd.errors import BadRequest, VoiceExists, VoiceNotFound
from cosyd.voices.catalog import Catalog
from cosyd.voices.store import Kind, Take
from cosyd.voices.voicepack import Voicepack, load

ABLE = ("streaming", "zero_shot", "cross_lingual")
KIND = Kind("cosy", "cosy-1", ABLE, 24_000, ("zh", "en"))


def take(root: Path, prompt: str = store.DEFAULT, sound: bytes = b"sound", **how: Any) -> Take:
    """A recording in a draft."""
    file = store.open_draft(root, KIND.family) / "recording.wav"
    file.write_bytes(sound)
    file.chmod(0o600)
    said: dict[str, Any] = {"text": "Hello.", "language": "en", "loudness_lufs": -23.0} | how
    return Take(prompt, file=file, **said)


def made(root: Path, name: str = "anna", **how: Any) -> Voicepack:
    return load(store.create(root, name, KIND, take(root, **how)))


def sounds(pack: Voicepack) -> dict[str, bytes]:
    return {prompt.name: prompt.path.read_bytes() for prompt in pack.prompts}


def test_a_voicepack_is_complete(tmp_path: Path) -> None:
    pack = made(tmp_path / "data" / "voicepacks")
    assert pack.path == tmp_path / "data" / "voicepacks" / "cosy" / "anna"
    assert yaml.safe_load((pack.path / "metadata.yaml").read_text()) == {
        "name": "anna",
        "family": "cosy",
        "model_id": "cosy-1",
        "version": "1.0",
        "description": "cloned from a recording",
        "capabilities": list(ABLE),
        "languages": ["en", "zh"],
        "tags": ["cloned"],
        "audio": {"sample_rate": 24_000, "loudness_lufs": -23.0},
        "size": 5,
        "license": "private",
        "prompts": {
            "default": "default",
            "available": [{"name": "default", "path": "prompts/default.wav", "text": "Hello."}],
        },
    }
    assert sounds(pack) == {"default": b"sound"}


def test_nobody_else_may_look(tmp_path: Path) -> None:
    made(tmp_path / "data" / "voicepacks")
    found = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in found}
    assert modes == {True: 0o700, False: 0o600}
    assert len(found) == 7


def test_a_draft_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    given = take(tmp_path)
    store.discard(given.file.parent)
    assert list((tmp_path / "cosy").iterdir()) == []


def test_what_a_killed_daemon_left_is_swept_up(tmp_path: Path) -> None:
    old, new = take(tmp_path).file.parent, take(tmp_path).file.parent
    mine = tmp_path / "cosy" / ".git"
    mine.mkdir()
    for path in (old, mine):
        os.utime(path, (0, 0))
    made(tmp_path)
    assert not old.exists()
    assert new.exists() and mine.exists()


def test_a_directory_in_the_way_is_not_touched(tmp_path: Path) -> None:
    made(tmp_path, sound=b"first")
    with pytest.raises(VoiceExists, match="in the way"):
        made(tmp_path, sound=b"second")
    assert sounds(load(tmp_path / "cosy" / "anna")) == {"default": b"first"}


@pytest.mark.parametrize(
    ("language", "languages"),
    [(None, ("zh", "en")), ("en-GB", ("en-GB", "zh")), ("fr", ("fr", "zh", "en"))],
)
def test_the_own_language_is_first(
    tmp_path: Path, language: str | None, languages: tuple[str, ...]
) -> None:
    assert made(tmp_path, language=language).languages == languages


def test_without_words_only_the_sound_is_taken(tmp_path: Path) -> None:
    pack = made(tmp_path, text="")
    assert pack.capabilities == ("streaming", "cross_lingual")
    store.put_prompt(pack, KIND, take(tmp_path, "happy"))
    assert load(pack.path).capabilities == ABLE


def test_prompts_come_and_go(tmp_path: Path) -> None:
    pack = made(tmp_path)
    store.put_prompt(pack, KIND, take(tmp_path, "happy", b"ha"))
    pack = load(pack.path)
    assert sounds(pack) == {"default": b"sound", "happy": b"ha"}
    store.put_prompt(pack, KIND, take(tmp_path, "default", b"other", text="Other."))
    pack = load(pack.path)
    assert (pack.default_prompt, sounds(pack)) == ("default", {"default": b"other", "happy": b"ha"})
    assert pack.prompt is not None and pack.prompt.text == "Other."
    store.remove_prompt(pack, "default")
    pack = load(pack.path)
    assert (pack.default_prompt, sounds(pack)) == ("happy", {"happy": b"ha"})
    assert len(list((pack.path / "prompts").iterdir())) == 1
    with pytest.raises(BadRequest, match="remove anna itself"):
        store.remove_prompt(pack, "happy")
    with pytest.raises(VoiceNotFound):
        store.remove_prompt(pack, "default")


def test_who_reads_meanwhile_finds_the_old_voice_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every rename and deletion, the manifest in place names files that are there."""
    pack = made(tmp_path, sound=b"old")
    seen = []

    def look() -> None:
        now = load(pack.path)
        seen.append(sounds(now)["default"])

    for name in ("rename", "replace", "unlink"):
        real = getattr(Path, name)

        def spying(self: Path, *args: Any, real: Any = real, **how: Any) -> Any:
            look()
            result = real(self, *args, **how)
            look()
            return result

        monkeypatch.setattr(Path, name, spying)
    store.replace(pack, KIND, take(tmp_path, sound=b"new"))
    assert seen == sorted(seen, reverse=True)  # "old" first, then "new"
    assert {b"old", b"new"} == set(seen)


def test_replacing_drops_all_that_was_of_the_old_voice(tmp_path: Path) -> None:
    pack = made(tmp_path)
    store.put_prompt(pack, KIND, take(tmp_path, "happy"))
    (pack.path / "computed").mkdir()
    store.replace(load(pack.path), KIND, take(tmp_path, sound=b"new"))
    assert sounds(load(pack.path)) == {"default": b"new"}
    assert len([path for path in pack.path.rglob("*") if path.is_file()]) == 2


def test_a_manifest_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = made(tmp_path)
    given = take(tmp_path, "happy")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put_prompt(pack, KIND, given)
    assert load(pack.path) == pack
    assert sounds(pack) == {"default": b"sound"}


def test_a_removed_voice_is_gone_whole(tmp_path: Path) -> None:
    catalog = Catalog([tmp_path])
    pack = made(tmp_path)
    assert catalog.find("anna") == pack
    store.remove(pack.path)
    assert catalog.voices() == {}
    assert list((tmp_path / "cosy").iterdir()) == []


def test_a_catalog_notices_every_change(tmp_path: Path) -> None:
    catalog = Catalog([tmp_path])
    for change in range(20):
        pack = made(tmp_path, sound=b"%d" % change)
        assert sounds(catalog.find("anna")) == {"default": b"%d" % change}
        store.put_prompt(pack, KIND, take(tmp_path, "happy"))
        assert len(catalog.find("anna").prompts) == 2
        store.remove(pack.path)
        assert catalog.voices() == {}


@given(
    text=st.text(st.characters(codec="utf-8"), max_size=300),
    name=st.sampled_from(["anna", "true", "1", "null", "1e3", "声音", "a.b-c"]),
)
def test_any_text_comes_back_on_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    root = tmp_path_factory.mktemp("voices")
    pack = made(root, name, text=text)
    assert pack.name == name
    assert pack.prompt is not None and pack.prompt.text == " ".join(text.split())
