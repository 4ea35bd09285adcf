"""A model's life under everything that can happen at once, in any order, on a fake clock."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cosyd.daemon.utterance import Utterance
from tests.daemon.fakes import Bench, drain


class Races(RuleBasedStateMachine):
    """Anything in any order: every utterance ends at most once, and nothing is left behind."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(keep_alive_s=3, engine_timeout_s=4, halt_timeout_s=1, load_timeout_s=20)
        self.said: list[Utterance] = []
        self.gone: set[int] = set()

    def _worker_lives(self) -> bool:
        return bool(self.bench.workers) and len(self.bench.workers) not in self.gone

    @rule(priority=st.integers(-1, 1), keep_alive=st.sampled_from([None, 0, -1, 2]))
    def say(self, priority: int, keep_alive: float | None) -> None:
        self.said.append(self.bench.say(priority=priority, keep_alive=keep_alive))

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.said)).stop()

    @precondition(lambda self: self.said)
    @rule(data=st.data(), how=st.sampled_from(["pause", "resume"]))
    def hold(self, data: st.DataObject, how: str) -> None:
        getattr(data.draw(st.sampled_from(self.said)), how)()

    @precondition(lambda self: self.bench.model.state == "loading" and self._worker_lives())
    @rule()
    def ready(self) -> None:
        self.bench.worker.ready()

    @precondition(lambda self: self.bench.model.state == "ready" and self._worker_lives())
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        speaking = self.bench.model._speaking
        if not speaking:
            return
        stream = data.draw(st.sampled_from(sorted(speaking)))
        utterance = speaking[stream]
        self.bench.worker.report("chunk", stream=stream, pcm=b"\0\0" * 960, text_end=1)
        self.bench.worker.report(
            "done", stream=stream, samples=960, synth_ms=1.0, rss_bytes=1, vram_bytes=None
        )
        drain(utterance, self.bench.owner)

    @precondition(lambda self: self._worker_lives())
    @rule()
    def halted(self) -> None:
        for order in self.bench.worker.orders:
            if order["type"] == "cancel":
                self.bench.worker.report("halted", stream=order["stream"])

    @precondition(lambda self: self._worker_lives())
    @rule()
    def worker_ends(self) -> None:
        self.gone.add(len(self.bench.workers))
        self.bench.worker.gone()

    @rule(seconds=st.floats(0, 6))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.pass_s(seconds)

    @invariant()
    def one_terminal_message_each(self) -> None:
        kinds = ("finished", "stopped", "failed")
        ends = [m["id"] for m in self.bench.owner.sent if m["type"] in kinds]
        assert len(ends) == len(set(ends))
        assert set(ends) == {u.id for u in self.said if u.outcome is not None}

    @invariant()
    def users_are_those_not_ended(self) -> None:
        assert self.bench.model.users == sum(u.outcome is None for u in self.said)

    @invariant()
    def a_model_in_use_is_never_unloaded(self) -> None:
        if self.bench.model.state == "unloading":
            begun = [u for u in self.said if u.outcome is None and u.source is not None]
            assert not begun

    @invariant()
    def whoever_waits_is_waited_for(self) -> None:
        if any(u.outcome is None for u in self.said):
            assert self.bench.model.state != "absent"

    @invariant()
    def one_worker_at_a_time(self) -> None:
        assert set(range(1, len(self.bench.workers))) <= self.gone


Races.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRaces = Races.TestCase
