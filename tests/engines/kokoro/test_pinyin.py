"""Pinyin → phonemes."""

from __future__ import annotations

import pytest

from cosyd.engines.kokoro import vocab
from cosyd.engines.kokoro.pinyin import ipa


@pytest.mark.parametrize(
    ("syllable", "expected"),
    [
        ("ni3", "ni↓"),
        ("hao3", "xau↓"),
        ("zhong1", "ꭧʊ→ŋ"),
        ("chi1", "ꭧʰɨ→"),
        ("shi4", "ʂɨ↘"),
        ("ri4", "ɻɨ↘"),
        ("zi5", "ʦɨ"),
        ("si4", "sɨ↘"),
        ("ji1", "ʨi→"),
        ("qu4", "ʨʰy↘"),
        ("xue2", "ɕɥe↗"),
        ("juan1", "ʨɥɛ→n"),
        ("jun1", "ʨy→n"),
        ("lü4", "ly↘"),
        ("lv4", "ly↘"),
        ("lüe4", "lɥe↘"),
        ("nu3", "nu↓"),
        ("yi1", "i→"),
        ("yan2", "jɛ↗n"),
        ("you3", "jou↓"),
        ("yong3", "jʊ↓ŋ"),
        ("yuan2", "ɥɛ↗n"),
        ("yu2", "y↗"),
        ("wu3", "u↓"),
        ("wei4", "wei↘"),
        ("weng1", "wə→ŋ"),
        ("liu2", "ljou↗"),
        ("gui4", "kwei↘"),
        ("lun2", "lwə↗n"),
        ("bo1", "pwo→"),
        ("er2", "ɚ↗"),
        ("o2", "ɔ↗"),
        ("ng2", "ŋ↗"),
        ("ma5", "ma"),
        ("", ""),
        ("xyz1", ""),
        ("ni", ""),
    ],
)
def test_ipa(syllable: str, expected: str) -> None:
    assert ipa(syllable) == expected


def test_every_reading_of_pypinyin_is_spoken_in_known_phonemes() -> None:
    constants = pytest.importorskip("pypinyin.constants", reason="pip install 'cosyd[kokoro]'")
    pypinyin = pytest.importorskip("pypinyin", reason="pip install 'cosyd[kokoro]'")
    chars = [chr(code) for code in constants.PINYIN_DICT if 0x4E00 <= code <= 0x9FA5]
    style = pypinyin.Style.TONE3
    readings = {
        reading
        for char in chars
        for reading in pypinyin.pinyin(
            char, style=style, heteronym=True, neutral_tone_with_five=True, v_to_u=True
        )[0]
    }
    assert len(readings) > 1200
    for reading in readings:
        phonemes = ipa(reading)
        assert phonemes, reading
        assert vocab.known(phonemes) == phonemes, reading
