"""Models' lives under everything that can happen at once, in any order, on a fake clock."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cosyd.daemon.model import RESIDENT
from cosyd.daemon.utterance import Utterance
from cosyd.errors import Busy, CosydError, EngineCrashed
from tests.daemon.fakes import Bench, FakeWorker, drain

NAMES = ("a", "b", "c")
KEEP_ALIVE_S = 3.0
MIN_RESIDENCY_S = 1.0
MAX_RESIDENT = 2
MAX_QUEUED = 3
names = st.sampled_from(NAMES)


class Races(RuleBasedStateMachine):
    """Anything in any order: every utterance ends at most once, and nothing is left behind."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(
            *NAMES,
            keep_alive_s=KEEP_ALIVE_S,
            engine_timeout_s=4,
            halt_timeout_s=1,
            load_timeout_s=20,
            max_resident=MAX_RESIDENT,
            min_residency_s=MIN_RESIDENCY_S,
            max_queued=MAX_QUEUED,
            backoff_s=0.5,
            breaker_crashes=3,
            breaker_s=8,
        )
        self.owners = [self.bench.owner, self.bench.connection()]
        self.said: list[Utterance] = []
        self.refused: list[Utterance] = []
        self.told: list[float | CosydError] = []
        self.asked = 0
        self.used_at = dict.fromkeys(NAMES, 0.0)
        self.by_hand = False
        self.bench.on_close = self._on_close

    # what clients do -----------------------------------------------------------------------

    @rule(
        model=names,
        owner=st.integers(0, 1),
        priority=st.integers(-1, 1),
        keep_alive=st.sampled_from([None, None, 0, -1, 2]),
    )
    def say(self, model: str, owner: int, priority: int, keep_alive: float | None) -> None:
        fields = {"priority": priority, "keep_alive": keep_alive}
        utterance = self.bench.utterance(self.owners[owner], model, **fields)
        waited = len(self.bench.models[model]._waiting)
        was_broken = self.bench.models[model].state == "broken"
        try:
            self.bench.models[model].submit(utterance)
        except EngineCrashed:
            assert was_broken
            self.refused.append(utterance)
        except Busy:
            assert waited == MAX_QUEUED
            self.refused.append(utterance)
        else:
            self.said.append(utterance)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.said)).stop()

    @precondition(lambda self: self.said)
    @rule(data=st.data(), how=st.sampled_from(["pause", "resume"]))
    def hold(self, data: st.DataObject, how: str) -> None:
        getattr(data.draw(st.sampled_from(self.said)), how)()

    @rule(model=names)
    def load(self, model: str) -> None:
        self.asked += 1
        self.bench.models[model].load(self.told.append)

    @rule(model=names)
    def unload(self, model: str) -> None:
        self.by_hand = True
        try:
            self.bench.models[model].unload()
        except Busy:
            assert self.bench.models[model].wanted or self.bench.models[model].state == "loading"
        self.by_hand = False

    # what workers do -----------------------------------------------------------------------

    def _living(self, *states: str) -> list[FakeWorker]:
        return [w for w in self.bench.living() if self.bench.models[w.model].state in states]

    @precondition(lambda self: self._living("loading"))
    @rule(data=st.data())
    def ready(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._living("loading")))
        self.used_at[worker.model] = self.bench.clock.now()
        worker.ready()

    @precondition(lambda self: self._living("loading"))
    @rule(data=st.data(), code=st.sampled_from(["model_load_failed", "out_of_memory"]))
    def load_fails(self, data: st.DataObject, code: str) -> None:
        worker = data.draw(st.sampled_from(self._living("loading")))
        worker.report("load_failed", code=code, message="it does not")
        worker.gone()

    @precondition(lambda self: self._living("ready"))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self._living("ready")))
        speaking = self.bench.models[worker.model].worker._streams._speaking
        if not speaking:
            return
        stream = data.draw(st.sampled_from(sorted(speaking)))
        utterance = speaking[stream]
        self.used_at[worker.model] = self.bench.clock.now()
        worker.report("chunk", stream=stream, pcm=b"\0\0" * 960, text_end=1)
        worker.report(
            "done", stream=stream, samples=960, synth_ms=1.0, rss_bytes=1, vram_bytes=None
        )
        drain(utterance, self.bench.owner)

    @precondition(lambda self: self.bench.living())
    @rule()
    def halted(self) -> None:
        for worker in self.bench.living():
            for order in worker.orders:
                if order["type"] == "cancel":
                    worker.report("halted", stream=order["stream"])

    @precondition(lambda self: self.bench.living())
    @rule(data=st.data())
    def worker_ends(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.bench.living())).gone()

    @rule(seconds=st.floats(0, 6))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.pass_s(seconds)

    # what holds always ---------------------------------------------------------------------

    @invariant()
    def one_terminal_message_each(self) -> None:
        kinds = ("finished", "stopped", "failed")
        sent = [message for owner in self.owners for message in owner.sent]
        ends = [message["id"] for message in sent if message["type"] in kinds]
        assert len(ends) == len(set(ends))
        assert set(ends) == {u.id for u in self.said if u.outcome is not None}

    @invariant()
    def users_are_those_not_ended(self) -> None:
        for name, model in self.bench.models.items():
            own = [u for u in self.said if u.voice.model == name]
            assert model.users == sum(u.outcome is None for u in own)

    @invariant()
    def whoever_waits_is_waited_for(self) -> None:
        for model in self.bench.models.values():
            if model.wanted:
                assert model.state not in ("absent", "broken")
            else:
                assert model.state != "waiting"

    @invariant()
    def each_load_is_told_once(self) -> None:
        waiting = sum(len(model._load_waiters) for model in self.bench.models.values())
        assert len(self.told) + waiting == self.asked

    @invariant()
    def as_many_as_may_be_and_one_load_at_a_time(self) -> None:
        states = [model.state for model in self.bench.models.values()]
        assert sum(state in RESIDENT for state in states) <= MAX_RESIDENT
        living = [worker.model for worker in self.bench.living()]
        assert len(living) == len(set(living)) <= MAX_RESIDENT
        assert {n for n, m in self.bench.models.items() if m.state in RESIDENT} == set(living)
        assert states.count("loading") <= 1, "they are all on one device"

    @invariant()
    def nobody_waits_for_a_free_place(self) -> None:
        """Whoever waits for room has nobody idle beside it that may go by now."""
        models = self.bench.models.values()
        waiting = [model for model in models if model.state == "waiting"]
        if not waiting or any(model.state in ("loading", "unloading") for model in models):
            return
        now = self.bench.clock.now()
        assert sum(model.state in RESIDENT for model in models) == MAX_RESIDENT
        for model in models:
            if model.state == "ready" and not model.wanted:
                assert now - (model.worker.loaded_at or 0.0) < MIN_RESIDENCY_S

    @invariant()
    def notes_who_is_in_use(self) -> None:
        for name, model in self.bench.models.items():
            if model.users or model.state != "ready":
                self.used_at[name] = self.bench.clock.now()

    def _on_close(self, worker: FakeWorker) -> None:
        """None goes that has users, nor too early."""
        model, now = self.bench.models[worker.model], self.bench.clock.now()
        assert not model.wanted
        expired = 0 <= model.keep_alive_s <= now - self.used_at[worker.model]
        old = now - (model.worker.loaded_at or 0.0) >= MIN_RESIDENCY_S
        others = [m for m in self.bench.models.values() if m.state in ("waiting", "absent")]
        assert self.by_hand or expired or (old and others)


Races.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestRaces = Races.TestCase
