"""Text → text tokens: byte-level BPE with Qwen2's rules, read from `vocab.json` and `merges.txt`.

text → added tokens taken out → NFC → words by one pattern → bytes → merges by rank. The added
tokens that CosyVoice 2 puts behind Qwen2's own are not in the files: their order is their number.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

from cosyd.engines.cosyvoice2.layout import PULL
from cosyd.errors import ModelLoadFailed
from cosyd.text.words import words

END_OF_PROMPT = "<|endofprompt|>"
"""Stands between an instruction and the text."""
QWEN_ADDED = words("<|endoftext|> <|im_start|> <|im_end|>")
COSYVOICE_ADDED = words(
    f"{END_OF_PROMPT} [breath] <strong> </strong> [noise] [laughter] [cough] [clucking] [accent] "
    "[quick_breath] <laughter> </laughter> [hissing] [sigh] [vocalized-noise] [lipsmack] [mn]"
)

_SHIFT = 24  # a pair of token ids as one int: half the memory of a tuple


class Tokenizer:
    """Immutable after construction.

    Args:
        vocab: piece in the byte alphabet -> id; all 256 single bytes must be there.
        merges: pairs of pieces, the first to be merged first.
        added: text -> id of tokens that are found before anything else.

    Raises:
        KeyError: a byte, or a piece of a merge, is not in the vocabulary.
    """

    __slots__ = ("_added", "_added_pattern", "_bytes", "_merged", "_ranks", "size")

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        added: Mapping[str, int],
    ) -> None:
        self._bytes = [vocab[char] for char in _byte_alphabet()]
        self._ranks = {
            vocab[left] << _SHIFT | vocab[right]: rank for rank, (left, right) in enumerate(merges)
        }
        self._merged = array("i", (vocab[left + right] for left, right in merges))
        self._added = dict(added)
        longest_first = sorted(added, key=len, reverse=True)
        self._added_pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self.size = 1 + max([*vocab.values(), *added.values()])
        """One more than the largest id."""

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read the `CosyVoice-BlankEN` folder of a release.

        Raises:
            ModelLoadFailed: a file is missing or is no Qwen2 tokenizer's.
        """
        try:
            vocab = json.loads((folder / "vocab.json").read_bytes())
            merges = _read_merges((folder / "merges.txt").read_text("utf-8"))
            return cls(vocab, merges, _added_ids(vocab, folder / "tokenizer_config.json"))
        except OSError as error:
            raise ModelLoadFailed(f"{error.filename}: {error.strerror}: {PULL}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelLoadFailed(f"{folder}: not a Qwen2 tokenizer ({error}): {PULL}") from error

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; added tokens such as [breath] are found anywhere in it."""
        ids: list[int] = []
        at = 0
        for match in self._added_pattern.finditer(text):
            ids.extend(self._plain(text[at : match.start()]))
            ids.append(self._added[match.group()])
            at = match.end()
        ids.extend(self._plain(text[at:]))
        return ids

    def count(self, text: str) -> int:
        """How many tokens `text` is."""
        return len(self.encode(text))

    def _plain(self, text: str) -> Iterator[int]:
        # Lone surrogates have no UTF-8; "replace" makes of them what a decoder would show.
        for match in _pattern().finditer(unicodedata.normalize("NFC", text)):
            yield from self._merge(match.group().encode("utf-8", "replace"))

    def _merge(self, word: bytes) -> list[int]:
        """One word's ids: the pair of lowest rank is merged, the leftmost first, until none is.

        A heap of pairs over a linked list, because a run of Chinese is one long word.
        """
        ids = [self._bytes[byte] for byte in word]
        after = [*range(1, len(ids)), -1]
        before = list(range(-1, len(ids) - 1))
        heap = [(self._rank(ids, after, at), at) for at in range(len(ids))]
        heapify(heap)
        while heap:
            rank, at = heappop(heap)
            if rank < 0 or rank != self._rank(ids, after, at):
                continue  # no such merge, or one side of the pair is another by now
            gone = after[at]
            ids[at], ids[gone], after[at] = self._merged[rank], -1, after[gone]
            if after[at] >= 0:
                before[after[at]] = at
            for changed in (before[at], at):
                if changed >= 0:
                    heappush(heap, (self._rank(ids, after, changed), changed))
        return [id_ for id_ in ids if id_ >= 0]

    def _rank(self, ids: list[int], after: list[int], at: int) -> int:
        if ids[at] < 0 or after[at] < 0:
            return -1
        return self._ranks.get(ids[at] << _SHIFT | ids[after[at]], -1)


def _read_merges(text: str) -> list[tuple[str, str]]:
    merges = []
    for line in text.split("\n"):  # not splitlines: pieces may hold other line ends
        if line and not line.startswith("#version"):
            left, right = line.rstrip("\r").split(" ")
            merges.append((left, right))
    return merges


def _added_ids(vocab: Mapping[str, int], config: Path) -> dict[str, int]:
    """Those that `config` lists by number, if it is there, then the known ones behind them."""
    listed: dict[str, Any] = {}
    if config.exists():
        listed = json.loads(config.read_bytes()).get("added_tokens_decoder", {})
    added = {str(token["content"]): int(id_) for id_, token in listed.items()}
    for text in QWEN_ADDED + COSYVOICE_ADDED:
        if text not in added:
            added[text] = 1 + max([*added.values(), max(vocab.values())])
    return added


def _byte_alphabet() -> list[str]:
    """The printable character that stands for each byte: itself, or the next from U+0100 on."""
    itself = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(174, 256)}
    stand_ins = iter(range(256, 512))
    return [chr(byte if byte in itself else next(stand_ins)) for byte in range(256)]


@cache
def _pattern() -> re.Pattern[str]:
    r"""Qwen2's words: contractions, letters with one sign before, single digits, signs, blanks.

    `re` has no \p{N} and \p{L}: the numbers are spelt out, letters are the rest of \w.
    """
    numbers = "".join(
        char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char)[0] == "N"
    )
    letter = rf"[^\W{numbers}_]"
    space = r"[^\S\x1c-\x1f]"  # these four are blank to Python alone
    letter_or_number = rf"[^\W_{numbers}]|[{numbers}]"
    return re.compile(
        r"'(?i:s|t|re|ve|m|ll|d)"
        rf"|(?:(?!{letter_or_number})[^\r\n])?{letter}+"
        rf"|[{numbers}]"
        rf"| ?(?:(?!{letter_or_number}|{space}).)+[\r\n]*"
        rf"|{space}*[\r\n]+"
        rf"|{space}+(?![\S\x1c-\x1f])"
        rf"|{space}+",
        re.DOTALL,
    )
