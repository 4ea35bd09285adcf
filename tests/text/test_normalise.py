"""Text → words, in both languages: golden tables, and what holds for any text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyd.text.characters import HAN, LATIN
from cosyd.text.normalise import normalise

pytest.importorskip("anyascii", reason="foreign scripts need anyascii: pip install 'cosyd[kokoro]'")
pytest.importorskip("emoji", reason="emoji need their names: pip install 'cosyd[kokoro]'")

ENGLISH = [
    # times and dates
    ("At 7:30 and 14:05.", "At seven thirty and fourteen oh five."),
    ("At 7:00, 10:30pm or 5 p.m. today.", "At seven o'clock, ten thirty P.M or five P.M today."),
    ("00:30 and 10:00:05", "zero thirty and ten and five seconds"),
    ("On 2024-03-05.", "On March fifth, twenty twenty-four."),
    ("31/12/2024", "December thirty-first, twenty twenty-four"),
    ("03/04/2024", "March fourth, twenty twenty-four"),
    ("5.3.2024", "March fifth, twenty twenty-four"),
    ("March 5th, 2024", "March fifth, twenty twenty-four"),
    ("5 March 2024 and Mar. 3.", "March fifth, twenty twenty-four and March third."),
    ("March 45 and 0 March", "March forty-five and zero March"),
    ("the 1990s and the '80s", "the nineteen nineties and the eighties"),
    ("in 1999, since 1865, in 2007",
     "in nineteen ninety-nine, since eighteen sixty-five, in two thousand seven"),
    ("1990-1995", "nineteen ninety to nineteen ninety-five"),
    # money
    ("$5.99", "five dollars and ninety-nine cents"),
    ("$1,234.56", "one thousand two hundred thirty-four dollars and fifty-six cents"),
    ("$0.99, $1 and $1.01", "ninety-nine cents, one dollar and one dollar and one cent"),
    ("€20, £3.5m and $3 billion",
     "twenty euros, three point five million pounds and three billion dollars"),
    ("¥500, 5€ or 100$", "five hundred yen, five euros or one hundred dollars"),
    # numbers
    ("1,000,000", "one million"),
    ("1234567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
    ("007", "zero zero seven"),
    ("12345678901234567890", "one two three four five six seven eight nine zero "
     "one two three four five six seven eight nine zero"),
    ("3.14, .5 and -3.5", "three point one four, point five and minus three point five"),
    ("1st, 2nd, 23rd, 40th", "first, second, twenty-third, fortieth"),
    ("15% of 1/2 cup, 2 1/2 cups, ¾",
     "fifteen percent of one half cup, two and a half cups, three quarters"),
    ("pages 3-5, 10-20%", "pages three to five, ten to twenty percent"),
    ("16:9", "sixteen to nine"),
    ("v1.2.3", "version one point two point three"),
    ("Call 555-123-4567.", "Call five five five, one two three, four five six seven."),
    ("+1 (555) 123-4567", "plus one, five five five, one two three, four five six seven"),
    ("5 km at 60 km/h", "five kilometers at sixty kilometers per hour"),
    ("20°C, 10 m², 3GB", "twenty degrees Celsius, ten square meters, three gigabytes"),
    ("5'10\"", "five feet ten"),
    ("2+2=4, 5×3, a<b", "two plus two equals four, five times three, a less than b"),
    ("٣ and ５ and ①", "three and five and one"),
    # addresses
    ("https://www.example.com/a-b?x=1.",
     "W.W.W dot example dot com slash a dash b question mark x equals one."),
    ("john.doe@mail.com!", "john dot doe at mail dot com!"),
    ("/usr/local/bin", "slash usr slash local slash bin"),
    ("#Hashtag @handle #1", "hashtag Hashtag at handle number one"),
    # words
    ("Dr. Smith, Mr. & Mrs. Ames", "Doctor Smith, Mister and Missus Ames"),
    ("St. James St.", "Saint James Street"),
    ("e.g. this, i.e. that, etc.", "for example this, that is that, et cetera"),
    ("World War II, Henry VIII, Malcolm X", "World War two, Henry the eighth, Malcolm X"),
    ("GPT-4, A4, mp3, http", "GPT four, Ay four, M.P three, H.T.T.P"),
    ("IT in the US", "I.T in the U.S"),
    ("C++, C# and AT&T", "C plus plus, C sharp and AT and T"),
    ("snake_case_name", "snake case name"),
    ("**bold** _it_ `code` [link](http://x.y)", "bold it code link"),
    ("- item\n- more", "item more"),
    ("hard-\nwrapped ==== line", "hardwrapped line"),
    # emoji and foreign scripts
    ("Great job 😀😀!", "Great job, grinning face!"),
    ("👍🏽 🇩🇪 ❤️", "thumbs up, Germany, red heart,"),
    ("Привет мир", "Privet mir"),
    ("こんにちは", "konnichiha"),
    ("α and ™", "alpha and, trade mark,"),
]  # fmt: skip
CHINESE = [
    ("现在是14:05，7:30起床，8:00上班。", "现在是十四点零五分，七点三十分起床，八点整上班。"),
    ("2024-03-05，31/12/2024", "二零二四年三月五日，二零二四年十二月三十一日"),
    ("2024年3月5日", "二零二四年三月五日"),
    ("￥99.80元，￥99.80，$5.99，€20", "九十九点八零元，九十九点八零元，五点九九美元，二十欧元"),
    ("￥1,234,567.89，1.5亿元", "一百二十三万四千五百六十七点八九元，一点五亿元"),
    ("1990年代，90后，1990-1995年", "一九九零年代，九零后，一九九零年到一九九五年"),
    ("电话13812345678，拨打110", "电话幺三八幺二三四五六七八，拨打幺幺零"),
    ("010-12345678", "零幺零，幺二三四五六七八"),
    ("15%，10-20%，3-5天，3~5个", "百分之十五，百分之十到百分之二十，三到五天，三到五个"),
    ("20°C，-5度", "二十摄氏度，负五度"),
    ("2个人，2米，第1名，1/2", "两个人，两米，第一名，二分之一"),
    ("60km/h，5kg", "每小时六十公里，五千克"),
    ("比分2:1，a<b", "比分二比一，a 小于 b"),
    ("GPT-4 v1.2.3", "GPT 四 版本一点二点三"),
    ("微信号abc123，301室", "微信号abc一二三，三零一室"),
    ("请访问https://example.com。", "请访问 example 点 com。"),
    ("发到abc@mail.com。", "发到 abc 艾特 mail 点 com。"),
    ("太好了😀！", "太好了，嘿嘿！"),
    ("#话题# @小明", "话题 艾特小明"),
    ("我用Python写code。", "我用Python写code。"),
]


@pytest.mark.parametrize(("text", "expected"), ENGLISH)
def test_english(text: str, expected: str) -> None:
    assert normalise(text, "en") == expected


@pytest.mark.parametrize(("text", "expected"), CHINESE)
def test_chinese(text: str, expected: str) -> None:
    pytest.importorskip("wetext", reason="Chinese grammars: pip install 'cosyd[kokoro]'")
    assert normalise(text, "zh") == expected


SPOKEN = re.compile(rf"[{LATIN}{HAN}\s,.;:!?'’\"“”‘()（），。！？；：、…—《》「」『』【】〈〉–-]*")
MIXED = st.text(
    alphabet=st.sampled_from(
        "0123456789 .,:/-%$€￥¥+=@#&_*~^|<>()[]{}'\"\\aAbIVXkmg°²½年月日点元你好，。😀👍🏽\n"
    )
    | st.characters(),
    max_size=60,
)  # fmt: skip
TRICKY = st.lists(
    st.sampled_from(
        [
            "7:30",
            "2024-03-05",
            "31/12/24",
            "$5",
            ".99",
            "3/4",
            "1,000",
            "-",
            " ",
            "v1.",
            "km",
            "%",
            "http://",
            "a.com",
            "@",
            "#",
            "1990s",
            "’s",
            "0",
            "99",
            "年",
            "￥",
            "元",
            "II",
            "\\",
            "\x00",
        ]
    ),
    max_size=20,
).map("".join)


@settings(deadline=None)
@given(MIXED | TRICKY, st.sampled_from(["en", "zh"]))
def test_only_words_and_punctuation_are_left(text: str, language: str) -> None:
    pytest.importorskip("wetext", reason="Chinese grammars: pip install 'cosyd[kokoro]'")
    out = normalise(text, language)
    assert SPOKEN.fullmatch(out), repr(out)


@settings(deadline=None)
@given(MIXED | TRICKY, st.sampled_from(["en", "zh"]))
def test_letters_and_digits_do_not_vanish(text: str, language: str) -> None:
    pytest.importorskip("wetext", reason="Chinese grammars: pip install 'cosyd[kokoro]'")
    if any(unicodedata.category(char) in ("Lu", "Ll", "Lo", "Nd") for char in text):
        assert re.search(rf"[{LATIN}{HAN}]", normalise(text, language)), repr(text)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "unit", ["a.", "1,", "1/", "@a", "a_", "*a ", "-1", "/a", "😀", "9", "$1", ":1", "a-"]
)
def test_no_rule_is_slow_on_repetition(unit: str, language: str) -> None:
    normalise(unit * 200, language)  # a segment is at most 600 characters; a hang is the failure
