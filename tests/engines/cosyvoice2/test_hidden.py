"""Hidden rows of all attentions in one tensor: what forks share, and what they do not."""

from __future__ import annotations

import torch
from torch import Tensor

from cosyd.engines.cosyvoice2.hidden import HiddenCache

SLOTS, BATCH, WIDTH = 3, 2, 4


def _empty() -> HiddenCache:
    return HiddenCache(torch.empty((SLOTS, 0, BATCH * WIDTH)))


def _rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, BATCH, WIDTH, generator=torch.Generator().manual_seed(seed))


def _fill(cache: HiddenCache, count: int, seed: int) -> list[Tensor]:
    return [cache.append(f"slot {slot}", _rows(count, seed + slot)) for slot in range(SLOTS)]


def test_rows_come_back_one_behind_the_other() -> None:
    cache = _empty()
    _fill(cache, 5, 0)
    second = _fill(cache, 3, 10)
    assert cache.length == 8
    for slot, rows in enumerate(second):
        assert torch.equal(rows, torch.cat((_rows(5, slot), _rows(3, 10 + slot))))
        assert rows.is_contiguous()


def test_a_fork_goes_on_alone() -> None:
    cache = _empty()
    _fill(cache, 5, 0)
    one, other = cache.fork(), cache.fork()
    shared = one.data.data_ptr()
    assert shared == other.data.data_ptr() == cache.data.data_ptr()
    found = [_fill(each, 2, seed) for each, seed in ((one, 20), (other, 30), (cache, 40))]
    for rows, seed in zip(found, (20, 30, 40), strict=True):
        assert torch.equal(rows[1], torch.cat((_rows(5, 1), _rows(2, seed + 1))))


def test_a_fork_of_nothing_goes_on_alone_too() -> None:
    cache = _empty()
    one, other = cache.fork(), cache.fork()
    _fill(one, 2, 0)
    assert torch.equal(_fill(other, 3, 5)[2], _rows(3, 7))
    assert (cache.length, one.length, other.length) == (0, 2, 3)


def test_for_keeping_there_is_no_spare_room() -> None:
    cache = _empty()
    _fill(cache, 5, 0)
    packed = cache.packed()
    assert packed.nbytes == cache.nbytes == SLOTS * 5 * BATCH * WIDTH * 4
    assert packed.data.untyped_storage().nbytes() == packed.nbytes
    assert torch.equal(packed.fork().append("slot 2", _rows(1, 9))[:5], _rows(5, 2))


def test_more_than_there_is_room_for() -> None:
    cache = _empty()
    _fill(cache, 1000, 0)
    rows = _fill(cache, 100, 50)
    assert torch.equal(rows[2], torch.cat((_rows(1000, 2), _rows(100, 52))))
