"""Where a sentence is cut into segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.text.characters import weight
from cosyd.text.split import BUDGETS, MAX_WEIGHT, segment_ends


def pieces(text: str, index: int = 0) -> list[str]:
    ends = segment_ends(text, index)
    return [text[a:b].strip() for a, b in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("However, nobody knew what would happen next, because it rained.",
         "However, nobody knew what would happen next,"),
        ("Nobody in the village knew what would happen after the rain stopped.",
         "Nobody in the village knew what would happen"),
        ("你好，欢迎使用语音合成系统，今天天气很好，我们去公园。", "你好，欢迎使用语音合成系统，"),
        ("It cost about 1,234,567 dollars to build the whole thing there.",
         "It cost about 1,234,567 dollars"),
        ("The 20 people (all of them from Spain) went home early in June.", "The 20 people"),
    ],
)  # fmt: skip
def test_first_segment(text: str, first: str) -> None:
    assert pieces(text)[0] == first


def test_later_segments_are_longer() -> None:
    text = "one two three four five, " * 40
    lengths = [len(piece) for piece in pieces(text)]
    assert lengths[0] <= BUDGETS[0].soft < lengths[2] <= BUDGETS[2].soft < lengths[4]


def test_a_cut_leaves_no_scrap() -> None:
    text = "a" * 30 + ", " + "b" * 12 + ", c."
    assert pieces(text)[-1] != "c."


@given(st.text(min_size=1, max_size=600), st.integers(0, 9))
def test_ends_rise_and_weights_are_bounded(text: str, index: int) -> None:
    ends = segment_ends(text, index)
    assert ends == sorted(set(ends)) and ends[-1] == len(text)
    for start, end in zip([0, *ends], ends, strict=False):
        assert sum(weight(char) for char in text[start:end]) <= MAX_WEIGHT
