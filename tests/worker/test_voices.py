"""The worker's voices: the asked prompt, read anew when replaced, gone when removed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cosyd.errors import VoiceNotFound
from cosyd.worker.voices import Voices

PACK = """
family: tone
model_id: {model}
audio: {{sample_rate: 24000}}
license: x
prompts: {{available: [{{name: a, path: a.wav}}, {{name: b, path: b.wav}}]}}
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "anna"
    folder.mkdir()
    (folder / "metadata.yaml").write_text(PACK.format(model="one"))
    return folder


def test_the_asked_prompt_speaks(pack: Path) -> None:
    voices = Voices()
    chosen = [voices.get(pack, prompt).default_prompt for prompt in ("b", "a", "b", None)]
    assert chosen == ["b", "a", "b", "a"]
    with pytest.raises(VoiceNotFound, match="anna/a, anna/b"):
        voices.get(pack, "c")


def test_read_once_until_it_is_replaced(pack: Path) -> None:
    voices = Voices()
    first = voices.get(pack, None)
    assert voices.get(pack, None) is first
    (pack / "new").write_text(PACK.format(model="two"))
    (pack / "new").replace(pack / "metadata.yaml")
    assert voices.get(pack, None).model == "two"


def test_removed_or_broken(pack: Path) -> None:
    voices = Voices()
    voices.get(pack, None)
    (pack / "metadata.yaml").write_text("[")
    with pytest.raises(VoiceNotFound, match="anna was removed or is broken"):
        voices.get(pack, None)
    shutil.rmtree(pack)
    with pytest.raises(VoiceNotFound, match="anna was removed"):
        voices.get(pack, None)


def test_the_oldest_is_forgotten(tmp_path: Path, pack: Path) -> None:
    voices = Voices(most=2)
    others = [tmp_path / "bert", tmp_path / "cleo"]
    for other in others:
        shutil.copytree(pack, other)
    first = voices.get(pack, None)
    bert = voices.get(others[0], None)
    assert voices.get(pack, None) is first
    voices.get(others[1], None)
    assert voices.get(pack, None) is first
    assert voices.get(others[0], None) is not bert
