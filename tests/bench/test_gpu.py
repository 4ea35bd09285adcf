"""The card's benchmark from its beginning to its end, on the CPU with a tiny model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from bench import gpu, gpu_card, gpu_daemon, gpu_engine, gpu_parts
from bench.figures import Figure, Findings
from cosyd.errors import OutOfMemory


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_card_it_says_so_and_measures_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert gpu.main([]) == gpu.NO_CARD == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["no CUDA device here: run it on a machine with one"]


@pytest.mark.skipif(sys.platform != "linux", reason="starts a daemon where one lives on Linux")
@pytest.mark.timeout(300)
def test_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- gpu:begin -->\nold\n<!-- gpu:end -->\nafter\n")
    monkeypatch.setattr(gpu, "DOCS", page)
    status = gpu.main(["--device", "cpu", "--tiny", "--write-docs"])
    told = capsys.readouterr()
    assert status == 0, told.out
    for section in ("daemon", "parity", "engine, fp32", "profile"):
        assert f"{section} …" in told.err
    assert "graphs: flow, hop of 100 tokens" in told.out
    assert "Not measured" not in told.out
    written = page.read_text()
    assert written.startswith("before\n<!-- gpu:begin -->\nno card: the CPU, random weights")
    assert "| engine | fp32: first audio, known voice, p50 |" in written
    assert "old" not in written


def test_a_section_that_fails_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> list[Figure]:
        raise OutOfMemory("no memory\nat all")

    def found(*_: object, **__: object) -> list[Figure]:
        return [Figure("engine", "one", 1.0, "s")]

    monkeypatch.setattr(gpu_card, "prepare", lambda *_, **__: None)
    monkeypatch.setattr(gpu_daemon, "figures", lacking)
    for place, name in ((gpu_engine, "figures"), (gpu, "_parity"), (gpu, "_profile")):
        monkeypatch.setattr(place, name, found)
    findings: Findings = gpu.measure(torch.device("cpu"), None, tiny=True)
    assert findings.skipped == {"daemon": "no memory"}
    assert [figure.name for figure in findings.figures] == ["one"] * 3


def test_parity_notices_a_difference() -> None:
    reference, other = (
        gpu_parts.Parts(gpu.GOLDEN, torch.device("cpu"), torch.float32) for _ in range(2)
    )
    assert not any(figure.verdict == "missed" for figure in gpu_parts.parity(reference, other, 5))
    with torch.inference_mode():
        other.lm.lm.head_bias[0] += 1
    (logits, *_) = gpu_parts.parity(reference, other, 5)
    assert logits.verdict == "missed"


def test_a_random_release_of_the_benchmark_never_ends_by_itself(tmp_path: Path) -> None:
    pack = gpu_card.prepare(tmp_path, None, tiny=True)
    assert (pack.name, pack.speaker) == (gpu_card.VOICE, "random")
    tensors = torch.load(tmp_path / "models" / gpu_card.MODEL / "llm.pt", weights_only=True)
    assert (tensors["llm_decoder.bias"][-3:] < -1000).all()
    assert (tensors["llm_decoder.bias"][:-3] > -1000).all()
