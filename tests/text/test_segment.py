"""The segmenter: its golden cuts, and what holds for any text in any pieces."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cosyd.text import segment as segment_module
from cosyd.text.characters import weight
from cosyd.text.segment import Segment, Segmenter
from cosyd.text.sentences import MAX_SENTENCE, Found, find_end
from cosyd.text.split import MAX_WEIGHT

LONG = (
    "The quick brown fox jumps over the lazy dog, because it was afraid of the big bad wolf that "
    "lives in the forest behind the house; nobody has seen it since, and nobody will."
)
WRAPPED = (
    "This is prose that somebody wrapped by hand at a column,\n"
    "so that its newlines mean nothing at all.\n"
    "It has two sentences."
)


def segments(*writes: str, flush: bool = False) -> list[Segment]:
    """All segments of text written in pieces, each taken as soon as it is there."""
    segmenter = Segmenter()
    out = []
    for text in writes:
        segmenter.write(text, flush=flush)
        while (found := segmenter.take()) is not None:
            out.append(found)
    segmenter.write("", final=True)
    while (found := segmenter.take()) is not None:
        out.append(found)
    assert segmenter.done
    return out


def sentences(*writes: str, flush: bool = False) -> list[str]:
    text = "".join(writes)
    return [
        text[s.sentence_start : s.sentence_end] for s in segments(*writes, flush=flush) if s.first
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi there! How are you?", ["Hi there!", "How are you?"]),
        ("Mr. Smith met Dr. J. R. Jones.", ["Mr. Smith met Dr. J. R. Jones."]),
        ("It is 3.14 in v1.2.3. Good.", ["It is 3.14 in v1.2.3.", "Good."]),
        ("See e.g. Fig. 3 or No. 5. Done.", ["See e.g. Fig. 3 or No. 5.", "Done."]),
        ("No. I will not.", ["No.", "I will not."]),
        ("The U.S. Army left the U.S. The end.", ["The U.S. Army left the U.S.", "The end."]),
        ("At 5 p.m. we met. It rained.", ["At 5 p.m. we met.", "It rained."]),
        ("Go to https://a.b/c?d=e.html. Now!", ["Go to https://a.b/c?d=e.html.", "Now!"]),
        ("Mail x.y@z.com! Please.", ["Mail x.y@z.com!", "Please."]),
        ("Well... maybe not... Yes.", ["Well... maybe not...", "Yes."]),
        ('He said "No." Then (really.) left.', ['He said "No."', "Then (really.)", "left."]),
        ('"Why?" he asked. "Because!"', ['"Why?" he asked.', '"Because!"']),
        ("What?! No way!!!", ["What?!", "No way!!!"]),
        ("1. First of all\n2. Then this", ["1. First of all", "2. Then this"]),
        ("It was 1999. Then came more.", ["It was 1999.", "Then came more."]),
        ("你好。今天好吗？好！", ["你好。", "今天好吗？", "好！"]),
        ("“真的吗？”他问。", ["“真的吗？”", "他问。"]),
        ("我……我不知道……\n再见", ["我……我不知道……", "再见"]),
        ("Hello.你好。Bye.", ["Hello.", "你好。", "Bye."]),
        ("Milk\nEggs\nBread", ["Milk", "Eggs", "Bread"]),
        ("Title\n\nText", ["Title", "Text"]),
        (WRAPPED, [WRAPPED[:98], WRAPPED[99:]]),
        ("A list that has a rather long introduction:\n- one\n- two", None),
        ("Great 👍🏽! Next 🇩🇪.", ["Great 👍🏽!", "Next 🇩🇪."]),
        ("  \n ", []),
        ("", []),
        ("...", ["..."]),
    ],
)
def test_sentences(text: str, expected: list[str] | None) -> None:
    found = sentences(text)
    if expected is None:
        expected = text.split("\n")
    assert found == expected
    assert sentences(*re.findall(r"\s*\S+|\s+$", text)) == expected


def test_a_whole_sentence_is_there_before_the_text_is_final() -> None:
    segmenter = Segmenter()
    segmenter.write("First one. Sec")
    first = segmenter.take()
    assert first is not None and first.text == "First one."
    assert segmenter.take() is None and not segmenter.done
    segmenter.write("ond.", flush=True)
    second = segmenter.take()
    assert second is not None and second.text == "Second." and second.start == 11


@pytest.mark.parametrize(
    "text",
    [
        "Hello there.",
        "Really?",
        "Stop!",
        "What?!",
        "你好。",
        "It's Ann's well-known one.",
    ],
)
def test_a_clear_end_is_not_waited_behind(text: str) -> None:
    segmenter = Segmenter()
    segmenter.write(text)
    found = segmenter.take()
    assert found is not None and segmenter.take() is None
    assert text[found.sentence_start : found.sentence_end] == text


@pytest.mark.parametrize(
    "text",
    [
        "Dr.",
        "It is 3.",
        "See www.",
        "Go to docs.python.",
        "I am J.",
        "Well...",
        '"Stop!',
        "“No.",
        "At 5 p.m.",
        "Hi",
    ],
)
def test_what_may_go_on_is_waited_for(text: str) -> None:
    segmenter = Segmenter()
    segmenter.write(text)
    assert segmenter.take() is None


def test_flush_ends_a_sentence_and_the_next_goes_on_behind_it() -> None:
    assert sentences("no full stop", " here", flush=True) == ["no full stop", "here"]


def test_no_text_after_the_final_one() -> None:
    segmenter = Segmenter()
    segmenter.write("a", final=True)
    with pytest.raises(ValueError, match="final"):
        segmenter.write("b")


def test_the_first_clause_is_cut_off_and_later_segments_grow() -> None:
    found = segments(LONG)
    assert found[0].text == "The quick brown fox jumps over the lazy dog,"
    assert [s.first for s in found] == [True] + [False] * (len(found) - 1)
    assert [s.last for s in found] == [False] * (len(found) - 1) + [True]
    assert {(s.sentence_start, s.sentence_end) for s in found} == {(0, len(LONG))}


def test_a_short_first_sentence_stays_whole() -> None:
    assert [s.text for s in segments("Well, hello there, my friend.")] == [
        "Well, hello there, my friend."
    ]


def test_no_clause_to_cut_at_so_a_word() -> None:
    text = "word " * 30
    first = segments(text)[0]
    assert first.text.split() == ["word"] * len(first.text.split())
    assert len(first.text) <= 50


def test_a_paragraph_is_marked_where_it_begins() -> None:
    found = segments("One. Two.\n\nThree.\nFour.\x0cFive.")
    assert [s.paragraph for s in found] == [False, False, True, False, True]


def test_language_is_the_sentences() -> None:
    assert [s.language for s in segments("Hello. 你好。 123. 我用iPhone拍照。")] == [
        "en",
        "zh",
        None,
        "zh",
    ]


AWKWARD = st.text(
    alphabet=st.sampled_from("aB1. ,\n!?\"')。，！”你好…-:;\u0301\u200d👍🏽🇩🇪\t\r\x00\ud800")
    | st.characters(),
    max_size=300,
)
PHRASES = st.lists(
    st.sampled_from(
        [
            "Mr. ",
            "U.S. ",
            "e.g. ",
            "5 p.m. ",
            "Hello ",
            "the ",
            "The ",
            "3.14",
            "... ",
            "\n",
            "\n\n",
            "1. ",
            "- x",
            '." ',
            "?) ",
            "。",
            "你好",
            "，",
            "word " * 12,
            "x" * 90,
            "  ",
            "A. ",
        ]
    ),
    max_size=60,
).map("".join)


def cut(text: str, sizes: list[int]) -> list[str]:
    out, position = [], 0
    for size in sizes:
        out.append(text[position : position + size])
        position += size
    return [*out, text[position:]]


def cut_not_behind_marks(text: str, sizes: list[int]) -> list[str]:
    """As `cut`, but no piece ends behind what may end a sentence at once."""
    out = [""]
    for piece in cut(text, sizes):
        if out[-1] and out[-1][-1] in ".!?。！？｡؟।\ufe0e\ufe0f":
            out[-1] += piece
        else:
            out.append(piece)
    return out


@given(AWKWARD | PHRASES, st.lists(st.integers(0, 40), max_size=40))
@example("Mr.", [1])
@example("a" * (MAX_SENTENCE + 30) + ". B", [MAX_SENTENCE])
@example("x. " + " " * 700 + "y", [3, 300])
def test_pieces_and_whole_text_have_the_same_segments(text: str, sizes: list[int]) -> None:
    assert segments(*cut_not_behind_marks(text, sizes)) == segments(text)


@given(AWKWARD | PHRASES, st.lists(st.integers(0, 40), max_size=20), st.booleans())
def test_segments_cover_every_non_blank_character_once_in_order(
    text: str, sizes: list[int], flush: bool
) -> None:
    covered: list[int] = []
    for found in segments(*cut(text, sizes), flush=flush):
        assert found.text == text[found.start : found.end] != ""
        assert found.sentence_start <= found.start < found.end <= found.sentence_end
        covered += range(found.start, found.end)
    assert covered == sorted(set(covered))
    missed = set(range(len(text))) - set(covered)
    assert "".join(text[i] for i in sorted(missed)).strip() == ""


@given(AWKWARD | PHRASES)
def test_segments_are_bounded(text: str) -> None:
    for found in segments(text):
        assert sum(weight(char) for char in found.text) <= MAX_WEIGHT
        assert found.sentence_end - found.sentence_start <= MAX_SENTENCE


@pytest.mark.parametrize("char", ["👍🏽", "🇩🇪", "👨‍👩‍👧‍👦", "e\u0301", "1️⃣"])
def test_no_visible_character_is_cut(char: str) -> None:
    text = char * 300
    for found in segments(text):
        assert len(found.text) % len(char) == 0


@pytest.mark.parametrize(
    "unit",
    [
        "word ",
        "a",
        ". ",
        "\n",
        "Mr. ",
        "?",
        "你好。",
        " \n",
        '"',
        "\u0301",
        "x.",
        "🇩🇪",
        "a, ",
        "U.S. ",
    ],
)
def test_work_grows_with_the_text_not_with_its_square(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def counting(text: str, scan: int, column: int, *, complete: bool) -> Found:
        nonlocal looked_at
        looked_at += len(text) - scan
        return find_end(text, scan, column, complete=complete)

    monkeypatch.setattr(segment_module, "find_end", counting)
    work = []
    for length in (20_000, 40_000):
        looked_at = 0
        text = (unit * length)[:length]
        segments(text)
        segments(*(text[i : i + 100] for i in range(0, length, 100)))
        work.append(looked_at)
    assert work[1] <= 2.2 * work[0] + 2000
