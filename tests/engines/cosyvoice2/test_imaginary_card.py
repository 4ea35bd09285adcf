"""What graphs hold, computed on a card that is only imagined: torch follows shapes and devices.

It fails where the CPU's tensors meet the card's, or where the host looks at a number: a capture
would fail there, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from cosyd.engines.cosyvoice2 import cfm, flow, lm, release
from cosyd.engines.cosyvoice2.flow import FlowSizes
from cosyd.engines.cosyvoice2.flow_graphs import Solver
from cosyd.engines.cosyvoice2.graphs import Bucket
from cosyd.engines.cosyvoice2.lm_graphs import Decoder
from cosyd.engines.cosyvoice2.lm_sizes import LmSizes

CARD = torch.device("cuda", 0)
TYPES = (torch.float32, torch.bfloat16, torch.float16)


class Serial:
    """For a pool of threads: what is imagined is imagined by one thread only."""

    def __init__(self, _threads: int) -> None:
        pass

    def __enter__(self) -> Serial:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, work: Callable[[object], object], items: Iterable[object]) -> Iterator[object]:
        return map(work, items)


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorMode]:
    mode = FakeTensorMode()
    at, by = cfm.moments(10)
    known = [mode.from_tensor(moment.clone()) for moment in at], by.tolist()
    monkeypatch.setattr(cfm, "moments", lambda _steps: known)
    monkeypatch.setattr(lm, "ThreadPoolExecutor", Serial)
    with torch.inference_mode():
        yield mode


def _imagine(mode: FakeTensorMode, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: mode.from_tensor(tensor) for name, tensor in tensors.items()}


@pytest.mark.parametrize("dtype", TYPES)
def test_a_decode_step_stays_on_the_card(
    opened: release.Release, imagined: FakeTensorMode, dtype: torch.dtype
) -> None:
    tensors, sizes = _imagine(imagined, opened.llm()), LmSizes.read(opened.settings)
    with imagined:
        decoder = Decoder(lm.load(tensors, sizes, device=CARD, dtype=dtype), slots=4, room=128)
        decoder._work(Bucket(2, 64))()
        assert decoder._tokens.device == decoder._logp.device == CARD


@pytest.mark.parametrize("dtype", TYPES)
def test_a_step_of_the_flow_stays_on_the_card(
    opened: release.Release, imagined: FakeTensorMode, dtype: torch.dtype
) -> None:
    tensors, sizes = _imagine(imagined, opened.flow()), FlowSizes.read(opened.settings)
    with imagined:
        solver = Solver(flow.load(tensors, sizes, device=CARD, dtype=dtype).cfm, room=256)
        solver._work(Bucket(100, 256))()
        assert solver._x.device == solver._data.device == CARD
        assert solver._data.dtype == dtype


def test_it_notices_a_look_at_a_number(imagined: FakeTensorMode) -> None:
    with imagined, pytest.raises(RuntimeError):
        float(torch.ones(1, device=CARD))
