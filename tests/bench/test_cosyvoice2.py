"""The pure parts of the CosyVoice 2 benchmark: what is forced, what is compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch

from bench import cosyvoice2
from bench.forced import END, TOKENS, Request, Sample, forced, timed


def _sample(first: float, total: float, peak: float) -> dict[str, Any]:
    one = Request(first, total, 2 * total, 10.0, 2 * first)
    return asdict(Sample(1.0, first, 100.0, peak, 0.5, [one, one]))


def test_both_sides_speak_as_many_tokens() -> None:
    logp = torch.zeros(END + 3)
    logp[END] = 5.0
    assert int(forced(torch.argmax, logp, [1] * (TOKENS - 1))) < END
    assert int(forced(torch.argmax, logp, [1] * TOKENS)) == END
    assert logp[END] == 5.0


def test_an_utterance_is_timed_to_its_first_sound() -> None:
    told = timed(iter([0, 240, 480]), 24_000)
    assert told.audio_s == pytest.approx(0.03)
    assert 0 < told.first_s <= told.total_s


def test_ratios_are_held_against_their_targets() -> None:
    found = {"cosyd": [_sample(2.0, 16.0, 2000.0)], "original": [_sample(10.0, 64.0, 3000.0)]}
    findings = cosyvoice2.compared(found)
    verdicts = {figure.name: figure.verdict for figure in findings.figures}
    assert verdicts["first audio, known voice, of the original's"] == "met"
    assert verdicts["peak memory, two utterances, of the original's"] == "missed"
    assert verdicts["first audio, second request, of the first's"] == "met"
    [rtf] = [each for each in findings.comparisons if each.name == "RTF, streaming"]
    assert rtf.values == {"cosyd": 1.6, "original": 6.4}


def test_every_variant_has_a_name_of_its_own_and_a_row() -> None:
    names = [variant.name for variant in cosyvoice2.LEFT_OUT]
    assert len(set(names)) == len(names)
    told = _sample(2.0, 16.0, 2000.0)
    told["requests"] = told["requests"][:1]
    [row] = cosyvoice2.optimisation_rows({names[0]: told})
    assert row == [names[0], "2.00 s", "1.60", "3.20 s", "2,000 MB", "2.00 s"]
    assert len(row) == len(cosyvoice2.HEADER)
