"""Compares text front end, tokenizer, language model and sampling with recorded arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import layout, lm, release, text
from cosyd.engines.cosyvoice2.lm import KvCache, Lm, LmSizes
from cosyd.engines.cosyvoice2.sampling import RepetitionAware, greedy
from cosyd.engines.cosyvoice2.speech_lm import Prompt, SpeechLm, State
from cosyd.engines.cosyvoice2.tensors import Row
from cosyd.engines.cosyvoice2.tokenizer import Tokenizer

LOGITS = 1e-4
"""Tolerance of hidden states and logits; the reference's own rounding is 2e-6."""
EXACT = 0.0
FULL_SIZE = 151_663
"""Size of a release's tokenizer."""

Arrays = Mapping[str, Any]


def rows(folder: Path) -> Iterator[Row]:
    """Run everything that a folder with a release and recorded arrays can be asked.

    Of the tokenizer's cases those of its vocabulary are taken. A missing file is passed over.

    Raises:
        ModelNotFound, ModelLoadFailed: the release is incomplete or broken.
    """
    opened = release.Release(folder)
    tokenizer = Tokenizer.load(folder / layout.QWEN)
    network = lm.load(opened.llm(), LmSizes.read(opened.settings))
    yield from text_rows(folder, tokenizer)
    for file, check in (
        ("llm.npz", partial(_layouts, network=network)),
        ("llm_bistream.npz", partial(_bistream, network=network)),
        ("ras.npz", _sampling),
        ("e2e_stream.npz", partial(_end_to_end, folder, opened, network, tokenizer)),
    ):
        if (folder / file).exists():
            with torch.inference_mode():  # never around a yield: the caller would run in it
                found = [*check(_arrays(folder / file))]
            yield from found


def text_rows(folder: Path, tokenizer: Tokenizer) -> Iterator[Row]:
    """The tokenizer and the front end, which need no weights."""
    full = tokenizer.size == FULL_SIZE
    cases = folder / f"tokenizer_cases_{'fullvocab' if full else 'tiny'}.json"
    if cases.exists():
        yield from _tokenizer(cases, tokenizer)
    if (folder / "text_cases.json").exists():
        yield from _text(folder / "text_cases.json", tokenizer.count if full else None)


def _arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _wrong(stage: str, array: str, got: Sequence[object], wanted: Sequence[object]) -> Row:
    """A row that counts what is not equal."""
    error = abs(len(got) - len(wanted)) + sum(a != b for a, b in zip(got, wanted, strict=False))
    return Row(stage, array, float(error), EXACT)


def _close(array: str, got: Tensor, wanted: Any) -> Row:
    if got.shape != wanted.shape:
        return Row("lm", array, float("inf"), LOGITS)
    return Row("lm", array, float((got - torch.from_numpy(wanted)).abs().max()), LOGITS)


def _tokenizer(path: Path, tokenizer: Tokenizer) -> Iterator[Row]:
    for number, case in enumerate(json.loads(path.read_bytes())):
        yield _wrong(
            "tokenizer", f"{path.name}:{number}", tokenizer.encode(case["text"]), case["ids"]
        )


_CLEAN_UP: Mapping[str, Callable[[str], object]] = {
    "replace_blank": text.replace_blank,
    "replace_corner_mark": text.replace_corner_mark,
    "remove_bracket": text.remove_bracket,
    "is_only_punctuation": text.is_only_punctuation,
    "contains_chinese": text.contains_chinese,
    "spell_out_number": text.spell_out_number,
}


def _text(path: Path, count: Callable[[str], int] | None) -> Iterator[Row]:
    """The front end; the English splits were measured with the full vocabulary's `count`."""
    for number, case in enumerate(json.loads(path.read_bytes())):
        array = f"{path.name}:{number}:{case['fn']}"
        if case["fn"] in _CLEAN_UP:
            got = _CLEAN_UP[case["fn"]](case["in"])
            yield _wrong("text", array, [got], [case["out"]])
        elif count is not None or case["lang"] == "zh":
            yield _wrong("text", array, split(case, count or len), case["out"])


def split(case: Mapping[str, Any], count: Callable[[str], int]) -> list[str]:
    """What `split_paragraph` makes of a recorded case."""
    return text.split_paragraph(
        case["text"],
        count=count,
        language=case["lang"],
        max_length=case["token_max_n"],
        min_length=case["token_min_n"],
        merge_length=case["merge_len"],
    )


def _ids(arrays: Arrays, name: str) -> list[int]:
    return [int(id_) for id_ in arrays[name].reshape(-1)]


def _layouts(arrays: Arrays, network: Lm) -> Iterator[Row]:
    for name in sorted({array.partition(".")[0] for array in arrays}):
        part = {key.partition(".")[2]: arrays[key] for key in arrays if key.startswith(name + ".")}
        prompt = Prompt(_ids(part, "prompt_text"), _ids(part, "prompt_speech_token"))
        state = SpeechLm(network).begin(_ids(part, "text"), prompt, seed=0, sampler=greedy)
        yield _close(
            f"llm.npz:{name}.lm_input", SpeechLm(network).fed(state)[None], part["lm_input"]
        )
        yield from _network(f"llm.npz:{name}", part, network)
        steps = range(len(part["step_tokens"]))
        tokens = [SpeechLm(network).step([state])[0] for _ in steps if state.ready]
        yield _wrong("lm", f"llm.npz:{name}.step_tokens", tokens, _ids(part, "step_tokens"))


def _network(array: str, part: Arrays, network: Lm) -> Iterator[Row]:
    cache = network.cache()
    entered = torch.from_numpy(part["lm_input"])[0]
    hidden = network.forward(entered, [cache], [len(entered)])
    yield _close(f"{array}.prefill_hidden", hidden[None], part["prefill_hidden"])
    logits = network.logits(hidden)
    yield _close(f"{array}.prefill_logits_last", logits[-1], part["prefill_logits_last"])
    if "prefill_logits_all" in part:
        yield _close(f"{array}.prefill_logits_all", logits[None], part["prefill_logits_all"])
    steps = [logits[-1:], *_steps(network, cache, _ids(part, "step_tokens")[:-1])]
    yield _close(f"{array}.step_logits", torch.cat(steps), part["step_logits"])


def _steps(network: Lm, cache: KvCache, tokens: Sequence[int]) -> Iterator[Tensor]:
    for token in tokens:
        yield network.logits(network.forward(network.embed_speech([token]), [cache], [1]))


def _bistream(arrays: Arrays, network: Lm) -> Iterator[Row]:
    """Text one token at a time, each only when nothing can be spoken without it."""
    speech, end = network.sizes.speech_tokens, int(arrays["n_forced_end"])

    def sampler(logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
        if len(decoded) >= end:
            return torch.tensor(speech)
        return greedy(logp[:speech], decoded, generator)

    prompt = Prompt(_ids(arrays, "prompt_text"), _ids(arrays, "prompt_speech_token"))
    state = SpeechLm(network).begin_streamed(prompt, seed=0, sampler=sampler)
    waiting = _ids(arrays, "text_stream")
    tokens: list[int] = []
    lengths: list[int] = []
    while not state.done:
        if not state.ready:
            SpeechLm(network).write(state, waiting[:1], final=len(waiting) <= 1)
            waiting = waiting[1:]
            continue
        before = state.cache.length
        token = SpeechLm(network).step([state])[0]
        lengths.append(state.cache.length - before)
        tokens += [] if token is None else [token]
    yield _wrong("lm", "llm_bistream.npz:out_tokens", tokens, _ids(arrays, "out_tokens"))
    wanted = _ids(arrays, "forward_input_lengths")
    yield _wrong("lm", "llm_bistream.npz:forward_input_lengths", lengths, wanted)


def _sampling(arrays: Arrays) -> Iterator[Row]:
    sampler = RepetitionAware()
    for drawn in sorted(name for name in arrays if ".ids_seed" in name):
        case, _, seed = drawn.partition(".ids_seed")
        logp, decoded = torch.from_numpy(arrays[f"{case}.logp"]), _ids(arrays, f"{case}.decoded")
        generator = torch.Generator().manual_seed(int(seed))
        nucleus = sampler.nucleus(logp)[1].tolist()
        wanted = _ids(arrays, drawn)
        got = [int(sampler(logp, decoded, generator)) for _ in wanted]
        kept = f"{case}.nucleus_ids"
        yield _wrong("sampling", f"ras.npz:{kept}", nucleus, _ids(arrays, kept))
        yield _wrong("sampling", f"ras.npz:{drawn}", got, wanted)


def _end_to_end(
    folder: Path, opened: release.Release, network: Lm, tokenizer: Tokenizer, arrays: Arrays
) -> Iterator[Row]:
    asked = json.loads((folder / "e2e_stream.json").read_bytes())
    ids, transcript = tokenizer.encode(asked["text"]), tokenizer.encode(asked["prompt_text"])
    yield _wrong("tokenizer", "e2e_stream.npz:text_ids", ids, _ids(arrays, "text_ids"))
    wanted = _ids(arrays, "prompt_text_ids")
    yield _wrong("tokenizer", "e2e_stream.npz:prompt_text_ids", transcript, wanted)
    speakers = opened.speakers()
    speaker = speakers.get("golden") or next(iter(speakers.values()))
    if speaker.llm_tokens is None:
        return
    prompt = Prompt(transcript, speaker.llm_tokens[0].tolist())
    state = SpeechLm(network).begin(ids, prompt, seed=0, sampler=greedy)
    wanted = _ids(arrays, "tokens")
    tokens = run(SpeechLm(network), state, asked["max_tokens"])
    yield _wrong("lm", "e2e_stream.npz:tokens", tokens, wanted)


def run(speech_lm: SpeechLm, state: State, most: int) -> list[int]:
    """Speech tokens of one utterance until it is done, waits for text, or has `most` of them."""
    tokens: list[int] = []
    while state.ready and len(tokens) < most:
        token = speech_lm.step([state])[0]
        tokens += [] if token is None else [token]
    return tokens
