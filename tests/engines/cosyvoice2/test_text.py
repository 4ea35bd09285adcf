"""The text front end against recorded cases, and what must hold for any text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2 import text
from cosyd.engines.cosyvoice2.check_lm import split, text_rows
from cosyd.engines.cosyvoice2.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"
SENTENCES = {
    "The birch canoe slid on the smooth planks.": 11,
    " Glue the sheet to the dark blue background!": 10,
    " It's easy to tell the depth of a well?": 11,
    " These days a chicken leg is a rare dish;": 10,
    " rice is often served in round bowls:": 8,
    " yes.": 2,
    " The birch canoe slid on the smooth planks.": 11,
    " Ok.": 2,
    "no final punctuation.": 4,
}
"""How many tokens of the full vocabulary the sentences of the recorded English case are."""


def _count(joined: str) -> int:
    """Sentences that begin with a blank are counted apart without a difference."""
    total = 0
    while joined:
        sentence = next(each for each in SENTENCES if joined.startswith(each))
        total += SENTENCES[sentence]
        joined = joined.removeprefix(sentence)
    return total


def test_recorded_cases() -> None:
    tiny = Tokenizer.load(GOLDEN / "CosyVoice-BlankEN")
    found = [row for row in text_rows(GOLDEN, tiny) if row.stage == "text"]
    assert len(found) == 13
    assert [row for row in found if not row.good] == []


def test_recorded_english_splits() -> None:
    cases = json.loads((GOLDEN / "text_cases.json").read_bytes())
    english = [case for case in cases if case.get("lang") == "en"]
    assert len(english) == 2
    for case in english:
        assert split(case, _count) == case["out"]


@pytest.mark.parametrize(
    ("digits", "spelt"),
    [
        ("0", "zero"),
        ("007", "seven"),
        ("19", "nineteen"),
        ("20", "twenty"),
        ("110", "one hundred and ten"),
        ("1000", "one thousand"),
        ("1001", "one thousand and one"),
        ("1100", "one thousand, one hundred"),
        ("1000100", "one million, one hundred"),
        (
            "1234567",
            "one million, two hundred and thirty-four thousand, five hundred and sixty-seven",
        ),
        ("9" * 37, " ".join(["nine"] * 37)),
    ],
)
def test_numbers_in_words(digits: str, spelt: str) -> None:
    assert text.spell_out_number(f"<{digits}>") == f"<{spelt}>"


@given(st.text(st.sampled_from('ab 你好。.!?，"”\n')))
def test_pieces_hold_the_text_in_order(paragraph: str) -> None:
    """Nothing is lost but blanks, closing quotes and repeated marks; a full stop may be added."""
    found = "".join(text.pieces(paragraph, count=len))
    letters = [char for char in paragraph if char in "ab你好"]
    assert [char for char in found if char in "ab你好"] == letters


@given(st.lists(st.integers(1, 70), max_size=9))
def test_lengths_of_pieces(lengths: list[int]) -> None:
    sentences = ["好" * length + "。" for length in lengths]
    found = text.pieces("".join(sentences), count=len)
    assert "".join(found) == "".join(sentences)
    assert all(len(piece) > text.MIN_LENGTH for piece in found[:-1])
    longest = text.MIN_LENGTH + max(lengths, default=0) + 1
    assert all(len(piece) <= max(longest, text.MAX_LENGTH) + text.MERGE_LENGTH for piece in found)


def test_pieces_of_chinese() -> None:
    found = text.pieces(" 我有 5m² 的（小）房间 - ok，\n", count=len)
    assert found == ["我有5m平方的小房间- ok。"]


def test_pieces_of_english_are_spoken_first() -> None:
    found = text.pieces("I owe 5 $", count=len, speak=lambda said, _: said.replace("$", "dollars"))
    assert found == ["I owe five dollars."]


def test_commas_can_cut() -> None:
    found = text.split_paragraph(
        "a, b", count=len, language="en", max_length=1, min_length=0, merge_length=0, at_commas=True
    )
    assert found == ["a,", " b."]


@pytest.mark.parametrize("nothing", ["", "  ", "\n", "。！？", "...", '"”'])
def test_nothing_speakable(nothing: str) -> None:
    assert text.pieces(nothing, count=len) == []


def test_marks_leave_the_text_as_it_is() -> None:
    marked = " 用四川话说 5 <|endofprompt|>你好"
    assert text.pieces(marked, count=len) == [marked]
