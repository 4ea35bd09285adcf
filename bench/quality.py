"""`python -m bench.quality`: can Whisper understand what cosyd says?

Speaks fifteen sentences through the daemon with `cosy say -o`, has Whisper-base write down what
it hears, and counts the errors: words in English, characters in Chinese. Ends with 1 if there
are too many.

    python -m bench.quality                 table, and JSON in bench/results
    python -m bench.quality --keep FOLDER   keep the WAV files
    python -m bench.quality --write-docs    put the table into docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.home import ROOT, cosy, home, kokoro_missing
from bench.machine import this_machine
from bench.report import markdown_table, replace_block, text_table
from bench.score import Score, score, total
from bench.sentences import SENTENCES, Sentence
from bench.spoken import chinese, english
from bench.store import DOCS, result_file, write_json
from bench.transcribe import REQUIREMENTS, VENV
from bench.venvs import CannotInstall, environment

LIMIT: Final = 0.08
"""The most errors for each language, as a share."""
NAMES: Final = {"en": "English, word errors", "zh": "Chinese, character errors"}
_HEADER: Final = ("voice", "said", "heard", "errors")


class Heard(NamedTuple):
    """A sentence, and what became of it."""

    sentence: Sentence
    text: str
    score: Score


def judge(sentence: Sentence, text: str) -> Heard:
    """Compare what was understood with what was to be said."""
    words = {"en": english, "zh": chinese}[sentence.language]
    return Heard(sentence, text, score(words(sentence.spoken), words(text)))


def rates(heard: Sequence[Heard]) -> dict[str, Score]:
    """Language → all its sentences as one."""
    languages = dict.fromkeys(each.sentence.language for each in heard)
    return {
        language: total(each.score for each in heard if each.sentence.language == language)
        for language in languages
    }


def speak(sentences: Sequence[Sentence], folder: Path) -> Iterator[Path]:
    """Write each sentence to a WAV file through a daemon of our own."""
    with home():
        for number, sentence in enumerate(sentences, 1):
            file = folder / f"{number:02}-{sentence.voice}.wav"
            say = [*cosy(), "say", "-v", sentence.voice, "-o", str(file), sentence.text]
            subprocess.run(say, check=True)
            yield file


def transcribe(python: Path, files: Sequence[tuple[str, Path]]) -> Iterator[str]:
    """What Whisper hears in each (language, file)."""
    command = [str(python), "-m", "bench.transcribe", str(ROOT / VENV / "model")]
    with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.writelines(f"{language} {path}\n" for language, path in files)
        process.stdin.close()
        for line in process.stdout:
            yield json.loads(line)["text"]
    if process.returncode:
        raise RuntimeError(f"Whisper ended with {process.returncode}")


def measure(python: Path, sentences: Sequence[Sentence], folder: Path) -> list[Heard]:
    """Speak, listen, judge; tells on stderr how far it is."""
    files = []
    for number, file in enumerate(speak(sentences, folder), 1):
        _progress("speaking", number, sentences)
        files.append(file.absolute())
    jobs = [(each.language, file) for each, file in zip(sentences, files, strict=True)]
    heard = []
    for number, text in enumerate(transcribe(python, jobs), 1):
        _progress("listening", number, sentences)
        heard.append(judge(sentences[number - 1], text))
    return heard


def _progress(what: str, number: int, sentences: Sequence[Sentence]) -> None:
    voice = sentences[number - 1].voice
    print(f"[{number}/{len(sentences)}] {what}: {voice}", file=sys.stderr, flush=True)


def _rows(heard: Sequence[Heard]) -> list[list[str]]:
    return [
        [each.sentence.voice, each.sentence.text, each.text, _share(each.score)] for each in heard
    ]


def _share(found: Score) -> str:
    return f"{found.errors}/{found.length}" if found.errors else "0"


def summary(heard: Sequence[Heard]) -> list[str]:
    """A line for each language."""
    return [
        f"{NAMES[language]}: {found.rate:.1%} ({found.errors} of {found.length}); "
        f"target ≤ {LIMIT:.0%}: {'met' if found.rate <= LIMIT else 'MISSED'}"
        for language, found in rates(heard).items()
    ]


def _as_dict(heard: Sequence[Heard]) -> dict[str, Any]:
    sentences = [
        {**each.sentence._asdict(), "heard": each.text, **each.score._asdict()} for each in heard
    ]
    return {
        "rates": {language: found.rate for language, found in rates(heard).items()},
        "limit": LIMIT,
        "sentences": sentences,
    }


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.quality")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the findings")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the WAV files there")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {DOCS}")
    return parser.parse_args(argv)


def _measured(keep: Path | None) -> list[Heard]:
    python = environment(VENV, REQUIREMENTS)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        return measure(python, SENTENCES, keep)
    with tempfile.TemporaryDirectory(prefix="cosyd-quality") as folder:
        return measure(python, SENTENCES, Path(folder))


def main(argv: list[str] | None = None) -> int:
    """1 if a language has too many errors or nothing can be measured."""
    args = _arguments(argv)
    if why := kokoro_missing():
        print(f"bench.quality: {why}", file=sys.stderr)
        return 1
    machine = this_machine()
    try:
        heard = _measured(args.keep)
    except CannotInstall as error:
        print(f"bench.quality: cannot install Whisper: {error}", file=sys.stderr)
        return 1
    print("\n" + text_table(_HEADER, _rows(heard)) + "\n")
    print("\n".join(summary(heard)))
    file = args.json or result_file("quality", machine)
    write_json(file, {"machine": machine.as_dict(), **_as_dict(heard)})
    if args.write_docs:
        lines = [f"Measured with cosyd {machine.cosyd}, {machine.measured_at}.", *summary(heard)]
        block = "\n\n".join([*lines, markdown_table(_HEADER, _rows(heard))])
        DOCS.write_text(replace_block(DOCS.read_text(), "quality", block))
    return int(any(found.rate > LIMIT for found in rates(heard).values()))


if __name__ == "__main__":
    sys.exit(main())
