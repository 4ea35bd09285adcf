"""The core's share in models' lives: preload, new settings, what it says it is doing."""

from __future__ import annotations

import logging
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cosyd.config import Config
from cosyd.daemon.core import Core
from cosyd.daemon.utterance import Utterance
from cosyd.engines.base import Descriptor
from cosyd.errors import CosydError, EngineCrashed, ModelNotFound
from cosyd.link.host import Listener
from cosyd.voices.catalog import Catalog
from cosyd.wire.messages import check_client
from tests.daemon.fakes import FakeClock, FakeOwner, FakeWorker

PACKS = Path(__file__).parents[1] / "voicepacks"


class Whole:
    """A core over fake workers, and one connection."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        self.workers: list[FakeWorker] = []
        config = Config(**{"voice": "tone", **settings})
        self.core = Core(config, Catalog([PACKS]), self.clock, self._start)
        self.changes = 0
        self.core.on_change = self._on_change
        self.owner = FakeOwner()
        self.owner.on_ended = self._on_ended
        self.open: list[Utterance] = []
        self.owner.utterances = lambda: self.open  # type: ignore[attr-defined] # as sessions have
        self.owner.client = "test"  # type: ignore[attr-defined] # the same
        self._ids = count(1)

    def _on_change(self) -> None:
        self.changes += 1

    def _on_ended(self, utterance: Utterance) -> None:
        self.open.remove(utterance)
        self.core.ended(utterance)

    def _start(self, listener: Listener, _engine: Descriptor, model: str) -> FakeWorker:
        self.workers.append(FakeWorker(listener, model, 1 << 30))
        return self.workers[-1]

    def connect(self) -> None:
        self.core.connections.add(self.owner)  # type: ignore[arg-type] # it is one by now

    def say(self, **fields: Any) -> Utterance:
        asked = {"type": "say", "id": next(self._ids), "text": "Hi.", **fields}
        self.core.say(check_client(asked), self.owner, self.open.append)
        return self.open[-1] if self.open else self.owner.over[-1]


def test_preload_one_after_another() -> None:
    whole = Whole(preload=("tone", "tone-dead"), keep_alive_s=60)
    whole.core.preload()
    assert [worker.model for worker in whole.workers] == ["tone"]
    assert whole.core.busy, "a load keeps the daemon"
    whole.workers[0].ready()
    assert [worker.model for worker in whole.workers] == ["tone", "tone-dead"]
    whole.workers[1].ready()
    assert not whole.core.busy
    assert whole.changes == 2, "when the loads began, and when the last had ended"
    whole.clock.pass_s(60)
    assert whole.workers[0].closed, "it goes like any other"


def test_preload_of_what_is_not_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    whole = Whole(preload=("tome", "tone", "a", "b"), max_resident=2)
    whole.core.preload()
    assert [worker.model for worker in whole.workers] == ["tone"]
    found = [record.__dict__ for record in caplog.records]
    told = " ".join(str(each) for each in found)
    assert "did you mean tone" in told
    assert "max_resident is 2" in told


def test_an_unknown_model_has_near_matches() -> None:
    core = Whole().core
    with pytest.raises(ModelNotFound, match="did you mean tone-dead"):
        core.model_named("tone-deaf")
    with pytest.raises(ModelNotFound, match="there are tone, tone-broken, tone-dead"):
        core.model_named("zzz")


def test_a_load_that_ends_without_a_connection_lets_the_daemon_go() -> None:
    whole = Whole()
    told: list[float | CosydError] = []
    whole.core.load("tone", told.append)
    assert whole.core.busy
    whole.workers[0].report("load_failed", code="model_load_failed", message="broken")
    whole.workers[0].gone()
    assert not whole.core.busy
    assert whole.changes == 2
    assert len(told) == 1


def test_new_settings_count_at_once() -> None:
    whole = Whole(keep_alive_s=300)
    whole.core.load("tone", lambda _result: None)
    whole.workers[0].ready()
    whole.core.reconfigure(whole.core.config._replace(keep_alive_s=5))
    whole.clock.pass_s(5)
    assert whole.workers[0].closed


def test_another_device_is_asked_about_anew() -> None:
    whole = Whole(device="cpu")
    whole.core.load("tone", lambda _result: None)
    whole.workers[0].ready(device="cpu")
    model = whole.core.models["tone"]
    whole.core.reconfigure(whole.core.config._replace(device="cuda"))
    assert model.worker.device == "cpu", "it is still there"
    model.unload()
    whole.workers[0].gone()
    whole.core.reconfigure(whole.core.config._replace(device="cpu"))
    assert model.worker.device is None


def test_what_it_is_doing() -> None:
    whole = Whole(max_resident=1, min_residency_s=0, breaker_crashes=1)
    assert whole.core.activity() == "idle"
    whole.connect()
    first = whole.say()
    assert whole.core.activity() == "loading tone, 1 waiting"
    whole.workers[0].ready()
    second = whole.say(voice="tone-dead")
    assert (
        whole.core.activity() == "speaking 1, 1 waiting; tone resident; tone-dead waiting for room"
    )
    second.stop()
    first.stop()
    assert whole.core.activity() == "idle; tone resident"
    whole.workers[0].gone()
    assert whole.core.activity() == "idle; tone keeps dying"


def test_status_shows_a_model_that_keeps_dying() -> None:
    whole = Whole(breaker_crashes=1, breaker_s=60)
    whole.connect()
    whole.say()
    whole.workers[0].ready()
    whole.workers[0].gone()
    (entry,) = whole.core.status()["models"]
    assert entry["state"] == "loading"
    assert entry["pid"] is None
    assert (entry["crashes"], entry["retry_in_s"], entry["restarts"]) == (1, 60, 1)
    assert "cosy load tone" in entry["fault"]
    assert entry["rss_bytes"] == 0, "nothing of it is there"
    again = whole.say()
    assert again.error_code == EngineCrashed.code
    assert whole.core.unload("tone") == [], "nothing of it is resident"


def test_unload_leaves_what_is_waited_for() -> None:
    whole = Whole()
    whole.core.load("tone", lambda _result: None)
    assert whole.core.unload(None) == []
    whole.workers[0].ready()
    assert whole.core.unload(None) == ["tone"]
