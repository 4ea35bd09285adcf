"""Places for models: how many, how much memory, who goes first, who never goes."""

from __future__ import annotations

from cosyd.errors import CosydError
from tests.daemon.fakes import Bench, state

MB = 1 << 20


def resident(bench: Bench) -> set[str]:
    """Models that are to stay."""
    return {name for name, model in bench.models.items() if model.state in ("loading", "ready")}


def test_the_least_recently_used_idle_one_makes_room() -> None:
    bench = Bench("a", "b", "c", max_resident=2, min_residency_s=0)
    for name in ("a", "b", "a"):
        bench.speak_one(name)
        bench.clock.pass_s(1)
    late = bench.say(model="c")
    assert state(bench.models["b"]) == "unloading" and state(bench.models["c"]) == "waiting"
    bench.workers[1].gone()
    assert resident(bench) == {"a", "c"}
    bench.worker.ready()
    assert state(late) == "speaking"


def test_one_with_users_never_goes_and_the_request_waits_for_it() -> None:
    bench = Bench("a", "b", max_resident=1, min_residency_s=0)
    speaks = bench.say(model="a")
    bench.worker.ready()
    late = bench.say(model="b")
    bench.clock.pass_s(1000)
    assert state(late) == "queued" and not bench.worker.closed
    bench.speak(speaks)
    assert bench.worker.closed
    bench.worker.gone()
    bench.worker.ready()
    assert state(late) == "speaking" and late.cold


def test_the_queue_of_one_that_waits_for_room_is_bounded() -> None:
    bench = Bench("a", "b", max_resident=1, max_queued=2)
    bench.say(model="a")
    bench.say(model="b")
    bench.say(model="b")
    try:
        bench.say(model="b")
    except CosydError as error:
        assert error.code == "busy"
    else:
        raise AssertionError("a third one may wait")


def test_one_just_loaded_is_not_sent_away_and_who_waits_comes_when_it_may_be() -> None:
    bench = Bench("a", "b", max_resident=1, min_residency_s=10)
    bench.speak_one("a")
    bench.clock.pass_s(4)
    late = bench.say(model="b")
    bench.clock.pass_s(5.5)
    assert state(bench.models["a"]) == "ready"
    bench.clock.pass_s(0.5)
    assert state(bench.models["a"]) == "unloading"
    bench.worker.gone()
    bench.worker.ready()
    assert state(late) == "speaking"


def test_who_gives_up_waiting_costs_nobody_the_place() -> None:
    bench = Bench("a", "b", max_resident=1, min_residency_s=10)
    bench.speak_one("a")
    late = bench.say(model="b")
    late.stop()
    bench.clock.pass_s(20)
    assert state(bench.models["a"]) == "ready" and state(bench.models["b"]) == "absent"


def test_one_that_is_to_stay_for_ever_goes_last() -> None:
    bench = Bench("a", "b", "c", max_resident=2, min_residency_s=0)
    bench.speak_one("a", keep_alive=-1)
    bench.clock.pass_s(1)
    bench.speak_one("b")
    bench.say(model="c")
    assert state(bench.models["b"]) == "unloading" and state(bench.models["a"]) == "ready"


def test_one_load_at_a_time() -> None:
    bench = Bench("a", "b", "c")
    said = [bench.say(model=name) for name in "abc"]
    assert [worker.model for worker in bench.workers] == ["a"]
    bench.worker.ready()
    assert [worker.model for worker in bench.workers] == ["a", "b"]
    bench.worker.gone()  # it dies while loading and rests: the next one need not wait for that
    assert [worker.model for worker in bench.workers] == ["a", "b", "c"]
    bench.worker.ready()
    bench.clock.pass_s(1)
    bench.worker.ready()
    assert [state(each) for each in said] == ["speaking"] * 3


def test_loads_to_different_devices_go_side_by_side_once_they_are_known() -> None:
    bench = Bench("a", "b", keep_alive_s=0)
    for name, device in (("a", "cpu"), ("b", "cuda:0")):
        utterance = bench.say(model=name)
        bench.worker.ready(device=device)
        bench.speak(utterance)
        bench.clock.pass_s(0)
        bench.worker.gone()
    bench.say(model="a")
    bench.say(model="b")
    assert [worker.model for worker in bench.living()] == ["a", "b"]


def test_the_more_urgent_is_loaded_first() -> None:
    bench = Bench("a", "b", "c")
    for name, priority in (("a", 0), ("b", 0), ("c", 5)):
        bench.say(model=name, priority=priority)
    bench.worker.ready()
    assert bench.worker.model == "c"


def test_a_size_that_was_learnt_counts() -> None:
    bench = Bench("a", "b", ram_budget_mb=100, min_residency_s=0)
    for name, size in (("a", 70), ("b", 20)):
        utterance = bench.say(model=name)
        bench.worker.ready(rss=size * MB)
        bench.rss[bench.worker.pid] = size * MB
        bench.speak(utterance)
    assert resident(bench) == {"a", "b"}
    bench.models["a"].unload()
    bench.workers[0].gone()
    bench.rss[bench.workers[1].pid] = 40 * MB
    again = bench.say(model="a")
    assert state(bench.models["b"]) == "unloading", "70 + 40 are over 100"
    bench.workers[1].gone()
    bench.worker.ready(rss=70 * MB)
    assert state(again) == "speaking"


def test_what_turns_out_too_big_sends_an_idle_one_away() -> None:
    bench = Bench("a", "b", ram_budget_mb=100, min_residency_s=10)
    bench.speak_one("a")
    bench.rss[bench.worker.pid] = 60 * MB
    bench.clock.pass_s(5)
    utterance = bench.say(model="b")
    bench.worker.ready(rss=60 * MB)
    bench.rss[bench.worker.pid] = 60 * MB
    assert state(utterance) == "speaking" and state(bench.models["a"]) == "ready"
    bench.clock.pass_s(5)
    assert state(bench.models["a"]) == "unloading"


def test_without_a_budget_three_quarters_of_the_machine() -> None:
    bench = Bench("a", "b", machine_bytes=100 * MB, min_residency_s=0)
    bench.speak_one("a")
    bench.rss[bench.worker.pid] = 50 * MB
    bench.say(model="b")
    bench.worker.ready(rss=26 * MB)
    bench.rss[bench.worker.pid] = 26 * MB
    bench.residency.settle()
    assert state(bench.models["a"]) == "unloading"


def test_one_alone_may_always_load() -> None:
    bench = Bench("a", ram_budget_mb=10, vram_budget_mb=10)
    for _ in range(2):
        utterance = bench.say()
        bench.worker.ready(rss=50 * MB, vram=50 * MB)
        assert state(utterance) == "speaking"
        utterance.stop()
        bench.worker.report("halted", stream=bench.worker.last("cancel")["stream"])
        bench.model.unload()
        bench.worker.gone()


def test_vram_by_budget() -> None:
    bench = Bench("a", "b", vram_budget_mb=100, min_residency_s=0)
    for name in ("a", "b"):
        utterance = bench.say(model=name)
        bench.worker.ready(device="cuda:0", vram=60 * MB)
        bench.worker.report("alive")
        number = bench.worker.last("speak")["stream"]
        bench.worker.report(
            *("done",), stream=number, samples=0, synth_ms=1.0, rss_bytes=1, vram_bytes=60 * MB
        )
        utterance.pull()
    assert state(bench.models["a"]) == "unloading", "120 are over 100"


def test_vram_as_the_driver_says() -> None:
    bench = Bench("a", "b", min_residency_s=0, keep_alive_s=-1)
    utterance = bench.say(model="b")
    bench.worker.ready(device="cuda:0", vram=60 * MB)
    bench.speak(utterance)
    bench.models["b"].unload()
    bench.worker.gone()
    assert bench.models["b"].worker.size["vram_bytes"] == 60 * MB
    utterance = bench.say(model="a")
    bench.worker.ready(device="cuda:0", vram=MB)
    bench.speak(utterance, vram=MB)
    bench.vram_free = 50 * MB
    bench.say(model="b")
    assert state(bench.models["a"]) == "unloading"
    bench.worker.gone()
    assert state(bench.models["b"]) == "loading", "alone it may try, whatever others hold"


def test_who_holds_no_vram_does_not_go_for_it() -> None:
    bench = Bench("a", "b", "c", min_residency_s=0, keep_alive_s=-1)
    for name, device, vram in (("a", "cpu", None), ("b", "cuda:0", 60 * MB)):
        utterance = bench.say(model=name)
        bench.worker.ready(device=device, vram=vram)
        bench.speak(utterance, vram=vram)
        bench.clock.pass_s(1)
    bench.vram_free = 0
    bench.models["c"].worker.size, bench.models["c"].worker.device = {"vram_bytes": MB}, "cuda:0"
    bench.say(model="c")
    assert state(bench.models["a"]) == "ready" and state(bench.models["b"]) == "unloading"
    bench.workers[1].gone()
    assert state(bench.models["c"]) == "loading", "the only one on the GPU may try"


def test_too_little_memory_for_a_load_is_tried_again_with_an_idle_one_less() -> None:
    bench = Bench("a", "b", min_residency_s=0)
    bench.speak_one("a")
    utterance = bench.say(model="b")
    bench.worker.report("load_failed", code="out_of_memory", message="no memory: free some")
    bench.worker.gone()
    assert state(bench.models["a"]) == "unloading" and state(bench.models["b"]) == "waiting"
    assert len(bench.workers) == 2, "what is to come free has not yet"
    bench.workers[0].gone()
    bench.worker.ready()
    assert state(utterance) == "speaking"


def test_too_little_memory_with_nobody_to_go_is_an_error() -> None:
    bench = Bench("a")
    utterance = bench.say(model="a")
    bench.worker.report("load_failed", code="out_of_memory", message="no memory: free some")
    bench.worker.gone()
    assert utterance.error_code == "out_of_memory" and len(bench.workers) == 1


def test_a_restart_that_nobody_waits_for_takes_nobodys_place() -> None:
    bench = Bench("a", "b", max_resident=1, min_residency_s=0)
    bench.speak_one("a")
    bench.worker.gone()
    bench.speak_one("b")
    bench.clock.pass_s(10)
    assert state(bench.models["a"]) == "absent" and state(bench.models["b"]) == "ready"


def test_a_restart_that_nobody_waits_for_does_not_queue() -> None:
    bench = Bench("a", "b", "c", max_resident=2, min_residency_s=0)
    bench.speak_one("a")
    bench.say(model="b")
    bench.worker.ready()
    bench.workers[0].gone()
    bench.say(model="c")
    bench.worker.ready()
    bench.clock.pass_s(10)
    assert state(bench.models["a"]) == "absent"


def test_fewer_places_by_new_settings() -> None:
    bench = Bench("a", "b", "c", min_residency_s=0)
    for name in "abc":
        bench.speak_one(name)
        bench.clock.pass_s(1)
    bench.reconfigure(max_resident=1)
    assert resident(bench) == {"c"}


def test_loads_that_nobody_speaks_with_count_as_users_until_they_are_told() -> None:
    bench = Bench("a", "b", max_resident=1, min_residency_s=0)
    told: list[float | CosydError] = []
    bench.models["a"].load(told.append)
    bench.models["b"].load(told.append)
    assert not bench.worker.closed
    bench.worker.ready()
    assert bench.worker.closed and len(told) == 1
    bench.worker.gone()
    bench.worker.ready()
    assert len(told) == 2
