"""Voicepacks of a release's own speakers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2 import speakers
from cosyd.voices.voicepack import load


def _release(folder: Path, *names: str) -> Path:
    embedding = {"embedding": torch.ones(1, 192)}
    torch.save(dict.fromkeys(names, embedding), folder / "spk2info.pt")
    return folder


def test_each_speaker_gets_a_voicepack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "packs"
    folder = _release(tmp_path, "中文女", "English Man!", "english_man")
    assert speakers.main([str(folder), str(out)]) == 0
    assert capsys.readouterr().out.split() == ["english-man", "english-man-2", "中文女"]
    pack = load(out / "中文女")
    assert (pack.speaker, pack.engine, pack.model) == ("中文女", "cosyvoice2", "CosyVoice2-0.5B")
    assert pack.languages[0] == "zh" and "zero_shot" not in pack.capabilities
    assert load(out / "english-man").languages[0] == "en"
    assert speakers.write(folder, out) == ["english-man", "english-man-2", "中文女"]


def test_a_release_without_speakers_has_none(tmp_path: Path) -> None:
    assert speakers.write(tmp_path, tmp_path / "packs") == []


def test_a_broken_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spk2info.pt").write_bytes(b"nothing")
    assert speakers.main([str(tmp_path), str(tmp_path / "packs")]) == 1
    assert "spk2info.pt" in capsys.readouterr().err


@given(st.text(max_size=100))
def test_a_slug_is_a_directory(name: str) -> None:
    slug = speakers.slug(name)
    assert slug and "/" not in slug and slug[0] not in ".-" and len(slug) <= 64
    assert slug != speakers.slug(name, taken=[slug])
