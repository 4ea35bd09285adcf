"""The tokenizer against recorded ids and a second, naive way to merge."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2.check_lm import FULL_SIZE, text_rows
from cosyd.engines.cosyvoice2.tokenizer import END_OF_PROMPT, Tokenizer
from cosyd.errors import ModelLoadFailed

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"
FOLDER = GOLDEN / "CosyVoice-BlankEN"
FULL = os.environ.get("COSYD_TEST_QWEN_VOCABULARY")
"""A folder with the release's vocab.json and merges.txt (4 MB, not kept here)."""
TINY = Tokenizer.load(FOLDER)
VOCAB: dict[str, int] = json.loads((FOLDER / "vocab.json").read_bytes())
PIECES = {id_: piece for piece, id_ in VOCAB.items()}
MERGES = {
    tuple(line.split(" ")): rank
    for rank, line in enumerate((FOLDER / "merges.txt").read_text("utf-8").split("\n")[1:])
    if line
}
READABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def test_recorded_ids() -> None:
    found = [row for row in text_rows(GOLDEN, TINY) if row.stage == "tokenizer"]
    assert len(found) == 12
    assert [row for row in found if not row.good] == []


@pytest.mark.skipif(FULL is None, reason="COSYD_TEST_QWEN_VOCABULARY names no folder")
def test_recorded_ids_and_splits_of_the_full_vocabulary() -> None:
    assert FULL is not None  # or it was skipped
    full = Tokenizer.load(Path(FULL))
    assert full.size == FULL_SIZE
    assert [row for row in text_rows(GOLDEN, full) if not row.good] == []


def _bytes(ids: list[int]) -> bytes:
    alphabet = {PIECES[TINY._bytes[byte]]: byte for byte in range(256)}
    return bytes(alphabet[char] for id_ in ids for char in PIECES[id_])


@given(READABLE)
def test_the_pieces_spell_the_text(text: str) -> None:
    assert _bytes(TINY.encode(text)).decode() == unicodedata.normalize("NFC", text)


def _naive(word: list[str]) -> list[str]:
    """Merge the first pair of the lowest rank, again and again."""
    while True:
        ranks = [MERGES.get(pair, len(MERGES)) for pair in pairwise(word)]
        if not ranks or min(ranks) == len(MERGES):
            return word
        at = ranks.index(min(ranks))
        word = [*word[:at], word[at] + word[at + 1], *word[at + 2 :]]


@given(st.text(st.sampled_from("theinorasd"), max_size=40))
def test_merges_as_one_by_one(word: str) -> None:
    assert TINY.encode(word) == [VOCAB[piece] for piece in _naive(list(word))]


@given(st.lists(st.sampled_from([END_OF_PROMPT, "[breath]", "<strong>", "a", " b", "[", "|>"])))
def test_added_tokens_are_found_anywhere(parts: list[str]) -> None:
    added = [part for part in parts if len(part) > 2]
    ids = [id_ for id_ in TINY.encode("".join(parts)) if id_ not in PIECES]
    assert ids == [TINY.encode(part)[0] for part in added]


def test_a_long_run_of_one_script_is_quick_enough() -> None:
    """A naive merge of these 60 000 bytes would take minutes; the suite's limit would end it."""
    assert len(TINY.encode("好" * 20_000)) == 20_000 * len(TINY.encode("好"))


def test_lone_surrogates_do_no_harm() -> None:
    assert TINY.encode("a\ud800b") == TINY.encode("a?b")


def test_without_the_settings_the_added_tokens_follow_the_vocabulary(tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(FOLDER / name, tmp_path)
    assert Tokenizer.load(tmp_path).encode(END_OF_PROMPT) == TINY.encode(END_OF_PROMPT)


@pytest.mark.parametrize("content", [None, "[]", "{}", "not JSON", '{"a": "b"}'])
def test_a_broken_vocabulary_is_said(tmp_path: Path, content: str | None) -> None:
    shutil.copy(FOLDER / "merges.txt", tmp_path)
    if content is not None:
        (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(ModelLoadFailed, match=str(tmp_path)):
        Tokenizer.load(tmp_path)


def test_broken_merges_are_said(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "vocab.json", tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b c\n")
    with pytest.raises(ModelLoadFailed, match="not a Qwen2 tokenizer"):
        Tokenizer.load(tmp_path)
