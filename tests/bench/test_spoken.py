"""What counts as the same words, and how errors are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.score import Score, score, total
from bench.sentences import SENTENCES, Sentence
from bench.spoken import cardinal, chinese, english, hanzi, ordinal


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It's 7:30.", "its seven thirty"),
        ("It's 7.30", "its seven thirty"),
        ("at 9.15 p.m.", "at nine fifteen pm"),
        ("$49.95", "forty nine dollars and ninety five cents"),
        ("$1", "one dollar"),
        ("March 3rd, 1987", "march third nineteen eighty seven"),
        ("March 3, 2024", "March third, twenty twenty-four"),
        ("in 2005 and 1905", "in two thousand five and nineteen oh five"),
        ("85% of 1,200", "eighty five percent of one thousand two hundred"),
        ("1200 visitors", "one thousand two hundred visitors"),
        ("85 per cent", "eighty-five percent"),
        ("3.5kg", "three point five kilograms"),
        ("350 runners", "three hundred and fifty runners"),
        ("Dr. Brown", "doctor brown"),
        ("the B.B.C. and NASA", "the BBC and nasa"),
        ("the 21st", "the twenty first"),
    ],
)
def test_english_as_it_is_spoken(written: str, spoken: str) -> None:
    assert english(written) == english(spoken)


@pytest.mark.parametrize(
    ("written", "other"),
    [("7,030", "7:30"), ("salt and pepper", "salt pepper"), ("3.5", "35"), ("13", "30")],
)
def test_other_words_stay_other_words(written: str, other: str) -> None:
    assert english(written) != english(other)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("下午3点半，见面。", "下午三点半见面"),
        ("8:45", "八点四十五分"),
        ("8.45分", "八点四十五分"),
        ("8点45分", "八点四十五分"),
        ("2024年10月1日", "二零二四年十月一日"),
        ("85%", "百分之八十五"),
        ("原价两百九十九元", "原价299元"),
        ("￥99.8", "九十九点八元"),
        ("用 Python 写", "用python写"),
        ("Wi-Fi", "wifi"),
    ],
)
def test_chinese_as_it_is_spoken(written: str, spoken: str) -> None:
    assert chinese(written) == chinese(spoken)


def test_a_latin_word_is_one_piece_among_characters() -> None:
    assert chinese("用 Python 写，好！") == ["用", "python", "写", "好"]


@pytest.mark.parametrize(
    ("value", "words", "characters"),
    [
        (0, "zero", "零"),
        (12, "twelve", "十二"),
        (40, "forty", "四十"),
        (101, "one hundred one", "一百零一"),
        (110, "one hundred ten", "一百一十"),
        (1005, "one thousand five", "一千零五"),
        (1050, "one thousand fifty", "一千零五十"),
        (20_300, "twenty thousand three hundred", "二万零三百"),
    ],
)
def test_numbers_in_words(value: int, words: str, characters: str) -> None:
    assert (cardinal(value), hanzi(value)) == (words, characters)


def test_ordinals() -> None:
    read = [ordinal(value) for value in (1, 2, 3, 5, 11, 12, 20, 31)]
    assert read == (
        ["first", "second", "third", "fifth", "eleventh", "twelfth", "twentieth", "thirty first"]
    )


@given(st.integers(0, 999_999), st.integers(0, 999_999))
def test_different_numbers_are_read_differently(one: int, two: int) -> None:
    assert (cardinal(one) == cardinal(two)) == (one == two) == (hanzi(one) == hanzi(two))


@pytest.mark.parametrize("sentence", SENTENCES, ids=[each.text for each in SENTENCES])
def test_the_references_are_what_the_sentences_say(sentence: Sentence) -> None:
    words = {"en": english, "zh": chinese}[sentence.language]
    assert words(sentence.text) == words(sentence.spoken)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b x c", 1),
        ("a b c", "", 3),
        ("a b c d", "b c d e", 2),
    ],
)
def test_errors_are_counted(said: str, heard: str, errors: int) -> None:
    assert score(said.split(), heard.split()) == Score(errors, len(said.split()))


@given(st.text("ab", min_size=1, max_size=8), st.text("ab", min_size=1, max_size=8))
def test_errors_are_a_distance(one: str, two: str) -> None:
    errors = score(one, two).errors
    assert errors == score(two, one).errors
    assert abs(len(one) - len(two)) <= errors <= max(len(one), len(two))
    assert (errors == 0) == (one == two)


def test_the_rate_of_several_is_that_of_one_long_text() -> None:
    assert total([Score(1, 10), Score(0, 30)]).rate == 1 / 40
    with pytest.raises(ValueError, match="nothing was said"):
        score([], ["word"])
