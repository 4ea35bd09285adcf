"""How long a cancelled stream may go on before its worker is replaced."""

from __future__ import annotations

import pytest

from cosyd.config import Config
from cosyd.daemon.watch import Watch
from tests.daemon.fakes import FakeClock


class _Late:
    """Notes when the worker should be replaced."""

    def __init__(self, clock: FakeClock) -> None:
        self.at: list[float] = []
        self._clock, self._begun = clock, clock.now()

    def __call__(self) -> bool:
        self.at.append(round(self._clock.now() - self._begun, 3))
        return True


@pytest.mark.parametrize(("halt_s", "expected"), [(0.0, 0.3), (3.0, 3.0)])
def test_an_engine_may_need_longer_than_is_configured(halt_s: float, expected: float) -> None:
    clock = FakeClock()
    late = _Late(clock)
    watch = Watch(clock, Config, lambda: None, lambda: None, late, halt_s)
    watch.cancelled(1)
    clock.pass_s(expected - 0.1)
    assert not late.at
    clock.pass_s(0.2)
    assert late.at == [expected]
    watch.stop()


def test_who_halts_in_time_is_left_alone() -> None:
    clock = FakeClock()
    late = _Late(clock)
    watch = Watch(clock, Config, lambda: None, lambda: None, late, 3.0)
    watch.cancelled(1)
    clock.pass_s(2.9)
    watch.halted(1)
    clock.pass_s(60.0)
    assert not late.at and not watch.halting
