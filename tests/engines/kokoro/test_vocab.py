"""Phoneme ids, and phonemes in pieces that fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.kokoro import vocab


def test_ids_are_kokoros() -> None:
    assert vocab.ids("hˈI ðˈɛɹ!") == [50, 156, 25, 16, 81, 156, 86, 123, 5]


def test_an_unknown_phoneme_is_left_out() -> None:
    assert vocab.ids("h\u2603I") == [50, 25]
    assert vocab.known("h\u2603I") == "hI"


def test_cut_at_the_last_sentence_then_clause_then_word() -> None:
    assert vocab.pieces("aaa. bbb, ccc ddd", 10) == ["aaa.", "bbb,", "ccc ddd"]
    assert vocab.pieces("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]
    assert vocab.pieces("", 10) == []


@given(st.text(alphabet="ab ,.", max_size=200), st.integers(3, 40))
def test_pieces_fit_and_lose_nothing_but_spaces(phonemes: str, longest: int) -> None:
    pieces = vocab.pieces(phonemes, longest)
    assert all(len(piece) <= longest for piece in pieces)
    assert "".join(pieces).replace(" ", "") == phonemes.replace(" ", "")
