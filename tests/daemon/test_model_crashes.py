"""A model whose engine dies or hangs: who is told, who goes on waiting, when it is tried again."""

from __future__ import annotations

import pytest

from cosyd.errors import CosydError, EngineCrashed
from tests.daemon.fakes import Bench, state


def test_crash_fails_speakers_restarts_and_serves_those_who_wait() -> None:
    bench = Bench(backoff_s=0.5)
    said = [bench.say() for _ in range(3)]
    bench.worker.ready()
    bench.worker.gone()
    assert [each.error_code for each in said] == ["engine_crashed", "engine_crashed", None]
    assert bench.model.restarts == 1 and state(bench.model) == "resting"
    bench.clock.pass_s(0.4)
    assert len(bench.workers) == 1
    bench.clock.pass_s(0.1)
    assert len(bench.workers) == 2
    bench.worker.ready()
    assert state(said[2]) == "speaking"


def test_crash_while_loading_is_tried_again_until_the_breaker_opens() -> None:
    bench = Bench(breaker_crashes=3)
    utterance = bench.say()
    told: list[float | CosydError] = []
    bench.model.load(told.append)
    bench.crash()
    bench.crash()
    assert utterance.error_code is None and len(bench.workers) == 3
    bench.worker.gone()
    assert utterance.error_code == "engine_crashed"
    assert isinstance(told[0], CosydError) and len(told) == 1
    assert "cosy load fake-1" in bench.owner.sent[-1]["message"]
    bench.clock.pass_s(1000)
    assert len(bench.workers) == 3, "nobody waits any more"


def test_crash_while_loading_serves_who_waits_once_it_loads() -> None:
    bench = Bench()
    utterance = bench.say()
    bench.crash()
    bench.worker.ready()
    bench.speak(utterance)
    assert utterance.outcome == "finished" and bench.model.crashes.in_a_row == 0


def test_rests_get_longer_and_end_with_a_success() -> None:
    bench = Bench(backoff_s=1, backoff_max_s=3, breaker_crashes=0)
    rests = []
    for _ in range(4):
        bench.say()
        bench.worker.ready()
        bench.worker.gone()
        rests.append(bench.model.crashes.retry_in_s)
        bench.clock.pass_s(3)
    assert rests == [1, 2, 3, 3]
    bench.worker.ready()
    bench.speak(bench.say())
    bench.say()
    bench.worker.gone()
    assert bench.model.crashes.retry_in_s == 1


def test_what_comes_in_a_rest_waits_for_its_end() -> None:
    bench = Bench(backoff_s=2)
    bench.say()
    bench.worker.ready()
    bench.worker.gone()
    late = bench.say()
    gone = bench.say()
    gone.stop()
    assert len(bench.workers) == 1 and state(late) == "queued"
    bench.clock.pass_s(2)
    bench.worker.ready()
    assert state(late) == "speaking" and late.cold and bench.model.users == 1


def broken() -> Bench:
    """A model that died three times in a row."""
    bench = Bench(breaker_crashes=3, breaker_s=60, backoff_max_s=5)
    for _ in range(2):
        bench.say()
        bench.worker.ready()
        bench.crash()
    bench.say()
    bench.worker.ready()
    bench.worker.gone()
    assert state(bench.model) == "broken"
    return bench


def test_open_breaker_refuses_at_once_and_says_what_to_type() -> None:
    bench = broken()
    assert "3 times in a row" in bench.owner.sent[-1]["message"], "who it hit last hears it too"
    with pytest.raises(EngineCrashed, match=r"wait 60 s or type `cosy load fake-1`.*cosy doctor"):
        bench.say()
    bench.clock.pass_s(59)
    with pytest.raises(EngineCrashed, match="wait 1 s"):
        bench.say()
    assert len(bench.workers) == 3


def test_breaker_gives_one_utterance_a_trial_and_closes_with_it() -> None:
    bench = broken()
    bench.clock.pass_s(60)
    assert len(bench.workers) == 3, "nobody wants it"
    first, second = bench.say(), bench.say()
    bench.worker.ready()
    assert (state(first), state(second)) == ("speaking", "queued")
    bench.speak(first)
    third = bench.say()
    assert (state(second), state(third)) == ("speaking", "speaking")
    assert bench.model.fault is None and bench.model.crashes.in_a_row == 0


def test_breaker_opens_again_when_the_trial_fails() -> None:
    bench = broken()
    bench.clock.pass_s(60)
    said = [bench.say(), bench.say()]
    bench.worker.ready()
    bench.worker.gone()
    assert [each.error_code for each in said] == ["engine_crashed"] * 2
    with pytest.raises(EngineCrashed, match="4 times in a row"):
        bench.say()


def test_an_explicit_load_tries_a_broken_model_at_once() -> None:
    bench = broken()
    told: list[float | CosydError] = []
    bench.model.load(told.append)
    waiting = bench.say()
    bench.clock.pass_s(2)
    bench.worker.ready()
    assert told == [2000.0] and state(waiting) == "speaking"
    bench.speak(waiting)
    bench.clock.pass_s(120)
    assert state(bench.model) == "ready", "the breaker's timer is gone"


def test_a_load_that_fails_is_no_crash() -> None:
    bench = Bench(breaker_crashes=1)
    for _ in range(3):
        utterance = bench.say()
        bench.worker.report("load_failed", code="model_load_failed", message="cut off")
        bench.worker.gone()
        assert utterance.error_code == "model_load_failed"
    assert bench.model.crashes.in_a_row == 0 and bench.model.fault is None


def test_a_worker_that_is_replaced_because_it_did_not_halt_is_no_crash() -> None:
    bench = Bench(halt_timeout_s=0.3, breaker_crashes=1)
    utterance = bench.say()
    bench.worker.ready()
    utterance.stop()
    bench.clock.pass_s(0.3)
    bench.worker.gone()
    assert bench.model.crashes.in_a_row == 0
    assert len(bench.workers) == 2, "and there is no rest"


def test_a_restart_that_nobody_waits_for_is_made_all_the_same() -> None:
    bench = Bench()
    bench.say()
    bench.worker.ready()
    bench.crash()
    assert len(bench.workers) == 2 and not bench.model.wanted
    bench.worker.ready()
    assert bench.model.expiry.expires_at is not None


def test_unload_while_it_rests_forgets_the_restart() -> None:
    bench = Bench()
    bench.say()
    bench.worker.ready()
    bench.worker.gone()
    bench.model.unload()
    bench.clock.pass_s(100)
    assert len(bench.workers) == 1 and state(bench.model) == "absent"


def test_load_that_never_ends_is_given_up() -> None:
    bench = Bench(load_timeout_s=10)
    utterance = bench.say()
    bench.clock.pass_s(10)
    assert bench.worker.killed
    bench.worker.gone()
    assert utterance.error_code == "engine_timeout"
    assert len(bench.workers) == 1, "whoever waited that long is not to wait again"


def test_hung_engine_is_replaced_and_the_next_one_served() -> None:
    bench = Bench(engine_timeout_s=5)
    utterance = bench.say()
    bench.worker.ready()
    bench.clock.pass_s(5)
    bench.clock.pass_s(5)
    assert bench.worker.killed
    bench.crash()
    assert utterance.error_code == "engine_timeout"
    bench.worker.ready()
    after = bench.say()
    assert state(after) == "speaking"
