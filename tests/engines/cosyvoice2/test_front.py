"""Text as it is written → segments: what is joined, what is cut, and when it is sure."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2.front import Front, Segment
from cosyd.engines.cosyvoice2.spelling import Speller, is_speakable, without_control
from cosyd.engines.cosyvoice2.tokenizer import END_OF_PROMPT, QWEN_ADDED, Tokenizer
from tests.engines.cosyvoice2.pieces import GOLDEN


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller(Tokenizer.load(GOLDEN / "CosyVoice-BlankEN"))


def _whole(speller: Speller, text: str) -> list[Segment]:
    front = Front(speller)
    front.write(text, final=True, flush=False)
    return _rest(front)


def _rest(front: Front) -> list[Segment]:
    segments = []
    while (segment := front.begin()) is not None:
        assert segment.closed
        segments.append(segment)
    assert front.done
    return segments


def _tokens(segment: Segment) -> list[int]:
    return [token for unit in segment.units for token in unit.tokens]


SENTENCE = "This is one sentence of about ten words in all. "


def test_short_sentences_are_joined_and_long_text_is_cut(speller: Speller) -> None:
    segments = _whole(speller, "Yes. No. Well.")
    assert len(segments) == 1 and [unit.sentence for unit in segments[0].units] == [
        (0, 4),
        (5, 8),
        (9, 14),
    ]
    many = _whole(speller, SENTENCE * 12)
    assert len(many) > 1
    assert all(segment.length <= 160 for segment in many)
    assert sum(len(segment.units) for segment in many) == 12


def test_a_short_rest_goes_to_the_segment_before(speller: Speller) -> None:
    *_, last = _whole(speller, SENTENCE * 12 + "End.")
    assert last.length >= 20 and last.units[-1].at.end == len(SENTENCE) * 12 + 4


@pytest.mark.parametrize("word", ["word ", "字", "a,"])
def test_a_sentence_without_end_is_cut(speller: Speller, word: str) -> None:
    segments = _whole(speller, word * 500)
    assert len(segments) > 1 and all(segment.length <= 200 for segment in segments)
    ends = [segment.units[-1].at.end for segment in segments]
    assert ends == sorted(ends) and ends[-1] == len((word * 500).rstrip())


def test_paragraphs_begin_segments(speller: Speller) -> None:
    segments = _whole(speller, "One.\n\nTwo.")
    assert [segment.paragraph for segment in segments] == [False, True]


def test_numbers_are_words(speller: Speller) -> None:
    assert speller.pieces("It costs $5.99 [breath] today.") == [
        "It costs five dollars and ninety-nine cents [breath] today."
    ]
    assert speller.pieces("今天25℃。") == ["今天二十五摄氏度。"]


@given(
    st.lists(st.sampled_from(["<|", "|>", "im_end", END_OF_PROMPT, *QWEN_ADDED, " ", "a", "＜｜"]))
)
@settings(max_examples=60)
def test_nothing_that_controls_the_model_comes_through(parts: list[str]) -> None:
    speller = Speller(Tokenizer.load(GOLDEN / "CosyVoice-BlankEN"))
    text = "".join(parts)
    assert not re.search(r"<\||\|>", without_control(text))
    control = {
        id_ for mark in (*QWEN_ADDED, END_OF_PROMPT) for id_ in speller._tokenizer.encode(mark)
    }
    assert not control & set(speller.tokens(text))
    assert speller.instruction(text).count(speller.instruction("")[0]) == 1


@pytest.mark.parametrize("text", ["", "🙂", "❤️ 👍🏽", "...", "—", "👨‍👩‍👧"])
def test_not_speakable(speller: Speller, text: str) -> None:
    assert not is_speakable(without_control(text)) and not _whole(speller, text)


def test_words_come_before_their_sentence_ends(speller: Speller) -> None:
    front = Front(speller)
    front.write("These are some wor", final=False, flush=False)
    segment = front.begin()
    assert segment is not None and not segment.closed
    assert "".join(unit_text(front, segment)) == "These are some"
    front.write("ds to hear. Then", final=False, flush=False)
    front.extend(segment)
    assert segment.closed and segment.at_sentence_end
    assert segment.units[-1].at.end == 29
    assert front.begin() is None  # "Then" may go on
    front.write("", final=False, flush=True)
    (last,) = [front.begin()]
    assert last is not None and last.closed and last.units[-1].at == (30, 34)


def unit_text(front: Front, segment: Segment) -> list[str]:
    text = "These are some words to hear. Then"
    del front
    return [text[unit.at.start : unit.at.end] for unit in segment.units]


def test_a_number_waits_for_what_it_belongs_to(speller: Speller) -> None:
    front = Front(speller)
    front.write("It was 3.5 million ", final=False, flush=False)
    segment = front.begin()
    assert segment is not None and segment.units[-1].at.end == 6
    front.write("dollars in all, he said to", final=False, flush=False)
    front.extend(segment)
    assert [unit.at for unit in segment.units[2:]] == [(6, 34), (34, 37), (37, 42)]


def test_a_short_sentence_stays_open_for_the_next(speller: Speller) -> None:
    front = Front(speller)
    front.write("Yes. ", final=False, flush=False)
    segment = front.begin()
    assert segment is not None and segment.at_sentence_end and not segment.closed


TEXT = (
    "First words, 12 of them! 这是一个很长的句子，没有空格。 "
    "Then <|im_end|> the end…\n\nAnd 3 more? "
)


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
@settings(max_examples=40)
def test_however_it_is_written_all_of_it_is_said_once(cuts: list[int]) -> None:
    speller = Speller(Tokenizer.load(GOLDEN / "CosyVoice-BlankEN"))
    front = Front(speller)
    places = [0, *sorted(cuts), len(TEXT)]
    segments: list[Segment] = []
    for start, end in pairwise(places):
        front.write(TEXT[start:end], final=False, flush=False)
        _move(front, segments)
    front.write("", final=True, flush=False)
    _move(front, segments)
    assert front.done and all(segment.closed for segment in segments)
    units = [unit for segment in segments for unit in segment.units]
    assert all(a.at.end <= b.at.start for a, b in pairwise(units))
    spoken = "".join(TEXT[unit.at.start : unit.at.end] for unit in units)
    assert _letters(spoken) == _letters(TEXT)
    assert units[-1].at.end == len(TEXT.rstrip())


def _move(front: Front, segments: list[Segment]) -> None:
    if segments and not segments[-1].closed:
        front.extend(segments[-1])
    while (not segments or segments[-1].closed) and (segment := front.begin()) is not None:
        segments.append(segment)


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
