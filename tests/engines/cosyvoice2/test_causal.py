"""Caches, masks in blocks, and causal convolutions: chunked equals whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from cosyd.engines.cosyvoice2.causal import Cache, CausalConv, Rows, span, windows

CPU = torch.device("cpu")


def pieces(x: Tensor, counts: list[int]) -> Iterator[Tensor]:
    start = 0
    for count in counts:
        yield x[:, start : start + count]
        start += count


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_rows_are_what_was_appended(counts: list[int]) -> None:
    parts = [some(2, 3, count, 4, seed=i) for i, count in enumerate(counts)]
    rows = Rows(parts[0])
    for part in parts[1:]:
        rows.append(part)
    assert len(rows) == sum(counts)
    assert torch.equal(rows.view, torch.cat(parts, dim=2))


def test_a_fork_and_its_origin_never_see_each_others_rows() -> None:
    first, mine, theirs = some(1, 5, 2), some(1, 4, 2, seed=1), some(1, 4, 2, seed=2)
    rows = Rows(first.clone())
    rows.append(mine[:, :1])  # there is spare room now, which a fork must not write into
    fork = rows.fork()
    both = torch.cat((first, mine[:, :1]), dim=1)
    fork.append(theirs)
    rows.append(mine[:, 1:])
    assert torch.equal(rows.view, torch.cat((first, mine), dim=1))
    assert torch.equal(fork.view, torch.cat((both, theirs), dim=1))


def test_appending_copies_each_row_a_bounded_number_of_times() -> None:
    rows, copies = Rows(some(1, 1, 4)), 0
    place = rows.view.data_ptr()
    for _ in range(1000):
        before = len(rows)
        rows.append(some(1, 1, 4))
        if rows.view.data_ptr() != place:
            place, copies = rows.view.data_ptr(), copies + before
    assert copies < 3 * len(rows)  # growing by half: a geometric series


def test_packed_rows_hold_no_spare_room() -> None:
    rows = Rows(some(1, 8, 4))
    rows.append(some(1, 1, 4))
    assert rows.nbytes == rows.packed().nbytes == 9 * 4 * 4
    assert rows.packed().view.untyped_storage().nbytes() == 9 * 4 * 4
    assert rows.view.untyped_storage().nbytes() > 9 * 4 * 4


def test_packed_rows_are_shared_where_there_is_no_spare_room() -> None:
    rows = Rows(some(1, 8, 4))
    assert rows.packed().view.data_ptr() == rows.view.data_ptr()


def test_a_row_sees_its_block_and_what_is_before_it() -> None:
    mask = span(4, 5, 2, CPU).mask
    assert mask is not None
    assert (mask == 0).int().tolist() == [
        [1, 1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1, 1, 1],
    ]
    assert {*mask.flatten().tolist()} == {-math.inf, 0.0}


def test_one_block_needs_no_mask() -> None:
    assert span(50, 25, 25, CPU).mask is None
    assert span(0, 70, None, CPU).mask is None


@pytest.mark.parametrize(("start", "block"), [(3, 2), (1, None)])
def test_a_call_inside_a_block_is_refused(start: int, block: int | None) -> None:
    with pytest.raises(ValueError, match="cannot start"):
        span(start, 4, block, CPU)


def test_windows_are_neighbouring_rows() -> None:
    x = torch.arange(8.0).view(1, 4, 2)
    assert windows(x, 3).tolist() == [[[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7]]]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(2, 5))
def test_a_convolution_in_chunks_equals_torchs_whole(counts: list[int], taps: int) -> None:
    weight, bias, x = some(4, 3, taps), some(4, seed=1), some(2, sum(counts), 3, seed=2)
    conv, cache = CausalConv(weight, bias, "conv"), Cache()
    parts = [conv(part, cache) for part in pieces(x, counts)]
    padded = functional.pad(x.transpose(1, 2), (taps - 1, 0))
    whole = functional.conv1d(padded, weight, bias).transpose(1, 2)
    assert (torch.cat(parts, dim=1) - whole).abs().max() < 1e-5  # 15 products in another order
    assert (conv(x, None) - whole).abs().max() < 1e-5
