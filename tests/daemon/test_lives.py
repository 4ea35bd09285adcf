"""Models' lives with real workers, through the real socket."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import cosyd
from cosyd import errors

PACKS = Path(__file__).parents[1] / "voicepacks" / "tone"
GUARD_S = 60.0
KILLS = 8


@pytest.fixture
def place(home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where a daemon will live that knows the models tone-a, tone-b and tone-c."""
    family = tmp_path / "packs" / "tone"
    shutil.copytree(PACKS, family)
    manifest = (PACKS / "tone" / "metadata.yaml").read_text()
    for name in ("tone-a", "tone-b", "tone-c"):
        (family / name).mkdir()
        own = manifest.replace("name: tone", f"name: {name}").replace("_id: tone", f"_id: {name}")
        (family / name / "metadata.yaml").write_text(own)
    settings = {
        "COSYD_VOICEPACKS": str(family.parent),
        "COSYD_MIN_RESIDENCY_S": "0",
        "COSYD_BACKOFF_S": "0.05",
        "COSYD_BREAKER_S": "1000",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return home


def until(happened: Callable[[], object], what: str) -> None:
    """Look again until it has happened: another process's state gives no event to wait for."""
    end = time.monotonic() + GUARD_S
    while not happened():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


def model(client: cosyd.Client, name: str) -> dict[str, Any]:
    """Its entry in the status; empty if it has none."""
    return next((m for m in client.status()["models"] if m["model"] == name), {})


def speaks(client: cosyd.Client, voice: str = "tone") -> None:
    """Say something to its end."""
    assert client.say("One two.", voice=voice).result.samples == 2 * 4800


def test_models_make_room_for_each_other(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    del place
    monkeypatch.setenv("COSYD_MAX_RESIDENT", "2")
    with cosyd.connect() as client:
        for voice in ("tone-a", "tone-b", "tone-a", "tone-c"):
            speaks(client, voice)
        assert {m["model"] for m in client.status()["models"]} == {"tone-a", "tone-c"}


def test_one_that_speaks_stays_and_the_other_waits(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del place
    monkeypatch.setenv("COSYD_MAX_RESIDENT", "1")
    with cosyd.connect() as client, cosyd.connect() as other:
        long = client.say("One two three four five six.", voice="tone-a", pace="realtime")
        assert long.started
        waits = other.say("One.", voice="tone-b")
        given_up = other.say("One.", voice="tone-c")
        assert model(other, "tone-b")["state"] == "loading"
        assert model(other, "tone-b")["pid"] is None
        given_up.stop()
        assert given_up.result.kind == "stopped"
        assert long.result.kind == "finished"
        assert waits.result.kind == "finished"
        assert model(other, "tone-c") == {}
        started = waits.started
        assert started is not None
        assert started.cold
        assert started.queue_ms > 100, "it waited for more than the load"


def test_preload_and_what_cannot_be(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSYD_PRELOAD", "tone-a,tone-v,tone-b")
    with cosyd.connect() as client:
        for name in ("tone-a", "tone-b"):
            until(lambda name=name: model(client, name).get("state") == "ready", name)  # type: ignore[misc] # bound to this round's
        started = client.say("One.", voice="tone-b").started
        assert started is not None
        assert not started.cold
    assert "tone-v" in place.log.read_text()
    assert "did you mean tone" in place.log.read_text()


@pytest.mark.parametrize("knobs", ["crash_after=0", "crash_after=1", "hang_after=0"])
def test_after_every_death_the_connection_speaks_again(
    place: Any, monkeypatch: pytest.MonkeyPatch, knobs: str
) -> None:
    del place
    monkeypatch.setenv("COSYD_ENGINE_TIMEOUT_S", "0.3")
    monkeypatch.setenv("COSYD_BREAKER_CRASHES", "1000")
    kind = errors.EngineTimeout if "hang" in knobs else errors.EngineCrashed
    with cosyd.connect() as client:
        for _ in range(3):
            with pytest.raises(kind):
                client.say("One. Two.", voice="tone-a", instruct=knobs).result  # noqa: B018 - waits
            speaks(client, "tone-a")
        assert model(client, "tone-a")["restarts"] >= 3


def test_what_waits_behind_a_death_is_spoken(place: Any) -> None:
    del place
    with cosyd.connect() as client:
        first = client.say("One. Two.", instruct="crash_after=1 slow_ms=50", channel="c")
        others = [client.say("One.", channel="c") for _ in range(3)]
        with pytest.raises(errors.EngineCrashed, match="not repeated"):
            list(first)
        assert [each.result.kind for each in others] == ["finished"] * 3


def test_the_breaker_says_so_and_a_load_or_time_closes_it(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del place
    monkeypatch.setenv("COSYD_BREAKER_CRASHES", "2")
    with cosyd.connect() as client:
        with pytest.raises(errors.EngineCrashed, match="2 times in a row"):
            client.say("One.", voice="tone-a", instruct="crash_after=0").result  # noqa: B018 - waits
        with pytest.raises(errors.EngineCrashed, match="cosy load tone-a"):
            client.say("One.", voice="tone-a").result  # noqa: B018 - waits
        entry = model(client, "tone-a")
        assert entry["state"] == "loading"
        assert entry["crashes"] == 2
        assert "2 times in a row" in entry["fault"]
        assert 0 < entry["retry_in_s"] <= 1000
        speaks(client, "tone-b")
        assert client.load(model="tone-a")["load_ms"] > 0
        speaks(client, "tone-a")
        entry = model(client, "tone-a")
        assert (entry["crashes"], entry["fault"], entry["retry_in_s"]) == (0, None, None)


def test_the_breaker_lets_one_try_when_its_time_is_over(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del place
    monkeypatch.setenv("COSYD_BREAKER_CRASHES", "2")
    monkeypatch.setenv("COSYD_BREAKER_S", "0.3")
    with cosyd.connect() as client:
        with pytest.raises(errors.EngineCrashed):
            client.say("One.", voice="tone-a", instruct="crash_after=0").result  # noqa: B018 - waits
        until(lambda: model(client, "tone-a") == {}, "the breaker's time is over")
        speaks(client, "tone-a")


def test_a_model_that_dies_while_loading_is_given_up(place: Any) -> None:
    del place
    with cosyd.connect() as client:
        for _ in range(2):
            with pytest.raises(errors.EngineCrashed, match="in a row"):
                client.say("One.", voice="tone-dead").result  # noqa: B018 - waits
            with pytest.raises(errors.EngineCrashed, match="in a row"):
                client.load(model="tone-dead")
        speaks(client)


def tree_rss(pids: list[int]) -> int:
    """Resident bytes of processes together."""
    total = 0
    for pid in pids:
        with suppress(OSError):  # it ended meanwhile
            pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
            total += int(pages) * resource.getpagesize()
    return total


def test_memory_comes_back_with_the_unload(place: Any) -> None:
    with cosyd.connect() as client:
        speaks(client, "tone-a")
        client.unload()
        until(lambda: len(place.processes()) == 1, "the worker has ended")
        before = tree_rss(place.processes())
        utterance = client.say("One. Two.", voice="tone-a", instruct="leak_mb=100")
        assert utterance.result.kind == "finished"
        assert tree_rss(place.processes()) > before + (200 << 20)
        assert model(client, "tone-a")["rss_bytes"] > 200 << 20
        assert client.unload("tone-a") == ["tone-a"]
        until(lambda: len(place.processes()) == 1, "the worker has ended")
        assert tree_rss(place.processes()) <= before * 1.05


def test_a_client_with_many_does_not_starve_another(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del place
    monkeypatch.setenv("COSYD_MAX_QUEUED", "100")
    ended: list[str] = []
    with cosyd.connect() as greedy, cosyd.connect() as other:
        many = [greedy.say("One. Two.", instruct="busy_ms=10") for _ in range(32)]
        assert many[0].started
        few = [other.say("One.") for _ in range(2)]

        def wait(name: str, said: list[Any]) -> None:
            for each in said:
                assert each.result.kind == "finished"
                ended.append(name)

        threads = [
            threading.Thread(target=wait, args=("greedy", many)),
            threading.Thread(target=wait, args=("other", few)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD_S)
    assert len(ended) == 34
    assert "other" not in ended[-8:], "32 were said before it, 8 are spoken at a time"


def test_workers_killed_at_any_moment(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each utterance ends, as finished or as crashed; afterwards everything works."""
    monkeypatch.setenv("COSYD_BREAKER_CRASHES", "1000")
    monkeypatch.setenv("COSYD_MAX_RESIDENT", "2")
    monkeypatch.setenv("COSYD_BACKOFF_MAX_S", "0.1")
    chance = random.Random(5)
    results: list[str] = []
    over = threading.Event()

    def talk(voice: str) -> None:
        with cosyd.connect() as client:
            for _ in range(6):
                try:
                    results.append(
                        client.say("One. Two. " * 3, voice=voice, instruct="slow_ms=40").result.kind
                    )
                except errors.EngineCrashed:
                    results.append("crashed")

    def kill() -> None:
        daemons = place.daemons()
        for _ in range(KILLS):
            if over.wait(chance.uniform(0.1, 1.0)):
                return
            workers = [pid for pid in place.processes() if pid not in daemons]
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)

    with cosyd.connect() as client:
        client.ping()
        killer = threading.Thread(target=kill)
        killer.start()
        voices = ["tone-a", "tone-b", "tone-c"] * 2
        talkers = [threading.Thread(target=talk, args=(voice,)) for voice in voices]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join(GUARD_S)
        over.set()
        killer.join(GUARD_S)
        assert len(results) == 6 * 6
        assert set(results) <= {"finished", "crashed"}
        for voice in ("tone-a", "tone-b", "tone-c"):
            client.load(voice=voice)
            speaks(client, voice)
