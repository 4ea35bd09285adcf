"""A model's life on a fake clock: loads, turns, expiry, crashes, hangs, and their races."""

from __future__ import annotations

import pytest

from cosyd.daemon.model import MODEL
from cosyd.errors import Busy, CosydError
from tests.daemon.fakes import Bench, state


def test_first_say_loads_and_begins_when_ready() -> None:
    bench = Bench()
    utterance = bench.say()
    assert state(bench.model) == "loading" and state(utterance) == "queued"
    bench.clock.pass_s(2)
    bench.worker.ready()
    started = bench.owner.sent[0]
    assert started["type"] == "started" and started["cold"] is True
    assert started["load_ms"] == 2000 and started["queue_ms"] == 0
    bench.speak(utterance)
    assert bench.owner.kinds() == ["started", "audio", "finished"]


def test_second_say_is_warm() -> None:
    bench = Bench()
    first = bench.say()
    bench.worker.ready()
    bench.speak(first)
    bench.say()
    assert bench.owner.sent[-1]["cold"] is False and bench.owner.sent[-1]["load_ms"] == 0


def test_no_more_at_once_than_the_engine_takes() -> None:
    bench = Bench()
    said = [bench.say() for _ in range(3)]
    bench.worker.ready()
    assert [state(each) for each in said] == ["speaking", "speaking", "queued"]
    said[0].stop()
    assert state(said[2]) == "queued", "what halts may hang: nobody begins behind it"
    bench.worker.report("halted", stream=bench.worker.last("cancel")["stream"])
    assert state(said[2]) == "speaking"


def test_higher_priority_goes_first_equals_by_age() -> None:
    bench = Bench()
    said = [bench.say(priority=priority) for priority in (0, 0, 1, -1, 1)]
    bench.worker.ready()
    assert [state(each) for each in said] == ["queued", "queued", "speaking", "queued", "speaking"]


def test_queue_is_bounded() -> None:
    bench = Bench(max_queued=2)
    bench.say()
    bench.say()
    with pytest.raises(Busy):
        bench.say()


def test_expires_after_keep_alive_and_not_before() -> None:
    bench = Bench(keep_alive_s=300)
    first = bench.say()
    bench.worker.ready()
    bench.speak(first)
    bench.clock.pass_s(299)
    assert state(bench.model) == "ready" and not bench.worker.closed
    bench.clock.pass_s(1)
    assert state(bench.model) == "unloading" and bench.worker.closed


def test_does_not_expire_while_loading_or_speaking() -> None:
    bench = Bench(keep_alive_s=1, load_timeout_s=1000)
    utterance = bench.say()
    bench.clock.pass_s(50)
    bench.worker.ready()
    bench.clock.pass_s(50)
    assert state(bench.model) == "ready" and state(utterance) == "speaking"


def test_keep_alive_of_the_request_counts() -> None:
    bench = Bench()
    first = bench.say(keep_alive=0)
    bench.worker.ready()
    bench.speak(first)
    bench.speak(bench.say(keep_alive=-1))
    bench.clock.pass_s(1000)
    assert state(bench.model) == "ready"
    assert bench.model.expiry.expires_at is None


def test_zero_keep_alive_unloads_right_after() -> None:
    bench = Bench()
    utterance = bench.say(keep_alive=0)
    bench.worker.ready()
    bench.speak(utterance)
    bench.clock.pass_s(0)
    assert state(bench.model) == "unloading"


def test_say_while_unloading_waits_for_a_new_worker() -> None:
    bench = Bench(keep_alive_s=1)
    first = bench.say()
    bench.worker.ready()
    bench.speak(first)
    bench.clock.pass_s(1)
    late = bench.say()
    assert len(bench.workers) == 1
    bench.worker.gone()
    assert len(bench.workers) == 2
    bench.worker.ready()
    assert state(late) == "speaking" and late.cold


def test_a_worker_that_does_not_end_when_hung_up_on_is_killed() -> None:
    bench = Bench(keep_alive_s=0)
    utterance = bench.say()
    bench.worker.ready()
    bench.speak(utterance)
    bench.clock.pass_s(4)
    assert bench.worker.closed and not bench.worker.killed
    bench.clock.pass_s(2)
    assert bench.worker.killed


def test_new_settings_count_at_once() -> None:
    bench = Bench(keep_alive_s=300)
    bench.speak_one()
    bench.clock.pass_s(50)
    bench.reconfigure(keep_alive_s=60)
    assert bench.model.expiry.expires_at == bench.clock.now() + 10
    bench.clock.pass_s(10)
    assert state(bench.model) == "unloading"


def test_new_settings_spare_what_a_request_asked_for() -> None:
    bench = Bench(keep_alive_s=300)
    bench.speak_one(keep_alive=1000)
    bench.reconfigure(keep_alive_s=1)
    bench.clock.pass_s(999)
    assert state(bench.model) == "ready"


def test_new_timeouts_count_for_the_next_step() -> None:
    bench = Bench(engine_timeout_s=60)
    bench.say()
    bench.worker.ready()
    bench.reconfigure(engine_timeout_s=5)
    bench.worker.report("alive")
    bench.clock.pass_s(60)
    bench.clock.pass_s(5)
    assert bench.worker.killed


def test_failed_load_says_why() -> None:
    bench = Bench()
    utterance = bench.say()
    bench.worker.report("load_failed", code="model_load_failed", message="flow.pt is cut off")
    bench.worker.gone()
    assert utterance.error_code == "model_load_failed"
    assert bench.owner.sent[0]["message"] == "flow.pt is cut off"
    bench.say()
    assert len(bench.workers) == 2, "the next one tries again"


def test_busy_engine_that_answers_probes_is_left_alone() -> None:
    bench = Bench(engine_timeout_s=5)
    bench.say()
    bench.worker.ready()
    for _ in range(20):
        bench.clock.pass_s(4)
        bench.worker.report("alive")
    assert not bench.worker.killed


def test_idle_worker_is_not_probed() -> None:
    bench = Bench(engine_timeout_s=5, keep_alive_s=-1)
    utterance = bench.say()
    bench.worker.ready()
    bench.speak(utterance)
    bench.clock.pass_s(100)
    probes = bench.worker.kinds().count("probe")
    bench.clock.pass_s(1000)
    assert bench.worker.kinds().count("probe") == probes and not bench.worker.killed


def test_stop_that_does_not_halt_replaces_the_worker() -> None:
    bench = Bench(halt_timeout_s=0.3)
    first = bench.say()
    bench.worker.ready()
    first.stop()
    late = bench.say()
    bench.clock.pass_s(0.3)
    assert bench.worker.killed and state(late) == "queued"
    bench.worker.gone()
    bench.worker.ready()
    assert state(late) == "speaking"


def test_stop_that_does_not_halt_spares_other_speakers_for_a_while() -> None:
    bench = Bench(halt_timeout_s=0.3)
    first, other = bench.say(), bench.say()
    bench.worker.ready()
    first.stop()
    late = bench.say()
    bench.clock.pass_s(3)
    assert not bench.worker.killed and state(other) == "speaking" and state(late) == "queued"
    bench.clock.pass_s(0.3)
    assert bench.worker.killed, "it hangs"
    bench.crash()
    assert other.error_code == "engine_timeout"
    bench.worker.ready()
    assert state(late) == "speaking"


def test_slow_halt_beside_other_speakers_costs_nobody() -> None:
    bench = Bench(halt_timeout_s=0.3)
    first, other = bench.say(), bench.say()
    bench.worker.ready()
    first.stop()
    bench.clock.pass_s(2)
    bench.worker.report("halted", stream=bench.worker.last("cancel")["stream"])
    bench.clock.pass_s(5)
    assert not bench.worker.killed and state(other) == "speaking"


def test_unload_refuses_while_in_use() -> None:
    bench = Bench()
    utterance = bench.say()
    with pytest.raises(Busy):
        bench.model.unload()
    bench.worker.ready()
    with pytest.raises(Busy):
        bench.model.unload()
    bench.speak(utterance)
    bench.model.unload()
    assert bench.worker.closed


def test_load_tells_everybody_once() -> None:
    bench = Bench()
    told: list[float | CosydError] = []
    bench.model.load(told.append)
    bench.model.load(told.append)
    bench.clock.pass_s(1)
    bench.worker.ready()
    bench.model.load(told.append)
    assert told == [1000.0, 1000.0, 0.0]


def test_stopped_while_queued_never_reaches_the_worker() -> None:
    bench = Bench()
    bench.say().stop()
    bench.worker.ready()
    assert "speak" not in bench.worker.kinds()


def test_end_fails_everybody_and_starts_nothing() -> None:
    bench = Bench()
    utterance = bench.say()
    bench.worker.ready()
    bench.model.end()
    bench.worker.gone()
    assert utterance.error_code == "shutting_down"
    assert bench.worker.killed and len(bench.workers) == 1


def test_every_state_of_the_table_can_be_left() -> None:
    assert {before for before, _ in MODEL} == set(MODEL.values())
