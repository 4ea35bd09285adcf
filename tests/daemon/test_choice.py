"""Which voice speaks, and what is refused before any model is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosyd.config import Config
from cosyd.daemon.choice import check_can, choose_voice, engine_of, is_chinese, speakable
from cosyd.errors import (
    EmptyText,
    EngineNotInstalled,
    TextTooLong,
    Unsupported,
    VoiceNotFound,
)
from cosyd.voices.catalog import Catalog
from cosyd.voices.voicepack import Voicepack
from cosyd.wire.messages import Message, check_client

PACK = """
name: {name}
family: {family}
model_id: {model}
languages: [{languages}]
capabilities: [{capabilities}]
audio: {{sample_rate: 24000}}
license: Apache-2.0
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    for name, family, model, languages, capabilities in (
        ("af_heart", "tone", "m", "en-US", "speed"),
        ("zm_yunxi", "tone", "m", "zh", "speed"),
        ("plain", "tone", "other", "fr", ""),
        ("strange", "nowhere", "x", "en", "instruct"),
    ):
        pack = tmp_path / "packs" / family / name
        pack.mkdir(parents=True)
        text = PACK.format(
            name=name, family=family, model=model, languages=languages, capabilities=capabilities
        )
        (pack / "metadata.yaml").write_text(text)
    return Catalog([tmp_path / "packs"])


def request(**fields: Any) -> Message:
    return check_client({"type": "say", "id": 1, "text": "Hello.", **fields})


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "af_heart"),
        ({"text": "你好，世界。"}, "zm_yunxi"),
        ({"text": "我用 Linux 电脑。"}, "zm_yunxi"),
        ({"text": "The word 你好 means hello."}, "af_heart"),
        ({"text": "Hi", "language": "zh-CN"}, "zm_yunxi"),
        ({"text": "你好", "language": "en"}, "af_heart"),
        ({"text": "你好", "voice": "plain"}, "plain"),
        ({"text": ""}, "af_heart"),
    ],
)
def test_voice(catalog: Catalog, fields: dict[str, Any], name: str) -> None:
    assert choose_voice(request(**fields), catalog, Config()).name == name


def test_unknown_voice_names_near_ones(catalog: Catalog) -> None:
    with pytest.raises(VoiceNotFound, match="did you mean af_heart"):
        choose_voice(request(voice="af_hart"), catalog, Config())


def voice(catalog: Catalog, name: str) -> Voicepack:
    return catalog.find(name)


@pytest.mark.parametrize("text", ["", "  \n", "...", "?!", "—", "\u200b\u0007", "“”", "。，"])
def test_nothing_speakable(catalog: Catalog, text: str) -> None:
    with pytest.raises(EmptyText):
        check_can(request(text=text), voice(catalog, "plain"), catalog)


def test_empty_text_may_still_come(catalog: Catalog) -> None:
    check_can(request(text="", final=False), voice(catalog, "plain"), catalog)


@pytest.mark.parametrize("text", ["a", "7", "你", "😀", "+", "€", "é", "…a"])
def test_speakable(text: str) -> None:
    assert speakable(text)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"ssml": True}, "SSML"),
        ({"instruct": "sadly"}, "strange can"),
        ({"speed": 1.5}, "af_heart, zm_yunxi can"),
        ({"language": "xx"}, "no installed voice can"),
        ({"language": "en-GB"}, "af_heart, strange can"),
    ],
)
def test_unsupported_says_who_can(catalog: Catalog, fields: dict[str, Any], match: str) -> None:
    with pytest.raises(Unsupported, match=match):
        check_can(request(**fields), voice(catalog, "plain"), catalog)


def test_language_of_another_voice_of_the_model_is_fine(catalog: Catalog) -> None:
    check_can(request(language="zh_CN"), voice(catalog, "af_heart"), catalog)


def test_too_long(catalog: Catalog) -> None:
    check_can(request(text="a" * 5000), voice(catalog, "plain"), catalog)
    with pytest.raises(TextTooLong):
        check_can(request(text="a" * 5001), voice(catalog, "plain"), catalog)


def test_unknown_engine(catalog: Catalog) -> None:
    with pytest.raises(EngineNotInstalled, match="nowhere"):
        engine_of(voice(catalog, "strange"))


def test_chinese() -> None:
    assert is_chinese("他有3个苹果") and not is_chinese("abc") and not is_chinese("")
