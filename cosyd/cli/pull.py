"""`cosy pull`: fetch a model's weights, from a server or from a folder on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

import cosyd.engines.cosyvoice2.pull as release  # its functions say what they do to a release
from cosyd import config, paths
from cosyd.cli import suggest
from cosyd.cli.failure import DONE, Signalled, Usage, note
from cosyd.cli.human import json_option, show_json, size, table
from cosyd.cli.meter import Meter
from cosyd.engines.registry import find, missing
from cosyd.voices.catalog import Catalog

ENGINE: Final = "cosyvoice2"
COMMAND: Final = f"cosy pull {ENGINE}"
_SPEAKERS: Final = "spk2info.pt"
_SOURCES: Final = {
    "auto": release.SOURCES,
    "huggingface": (release.HUGGING_FACE,),
    "modelscope": (release.MODELSCOPE,),
}


@click.command("pull")
@click.argument("model", required=False)
@click.option(
    "--from", "folder", metavar="DIR", help="Copy the files from DIR instead of fetching them.",
    shell_complete=suggest.files,
)  # fmt: skip
@click.option(
    "--any", "unchecked", is_flag=True,
    help="With --from: take files that are not the published ones, such as a model of your own.",
)  # fmt: skip
@click.option(
    "--source", type=click.Choice(list(_SOURCES)), default="auto", show_default=True,
    help="Which server to fetch from; auto takes whichever answers.",
)  # fmt: skip
@click.option(
    "--mirror", metavar="URL",
    help="A server with Hugging Face's paths, such as https://hf-mirror.com.",
)  # fmt: skip
@json_option
def command(
    model: str | None,
    folder: str | None,
    unchecked: bool,
    source: str,
    mirror: str | None,
    as_json: bool,
) -> int:
    """Fetch the weights of MODEL; without MODEL, list what can be fetched.

    What broke off goes on where it stopped, now or when the command is typed again. Every file is
    checked against its published checksum before it is put in place.

    \b
    Examples:
      cosy pull cosyvoice2
      cosy pull cosyvoice2 --source modelscope
      cosy pull cosyvoice2 --from ~/Downloads/CosyVoice2-0.5B
    """
    place = release.folder_in(_data_dir())
    if model is None:
        return _list(place, as_json)
    if model.lower() not in (ENGINE, release.MODEL.lower()):
        raise Usage(f"no model {model!r} can be fetched: type `{COMMAND}`")
    if unchecked and folder is None:
        raise Usage("--any goes with --from DIR: what is fetched is always checked")
    _bring(place, folder, unchecked, _servers(source, mirror))
    if as_json:
        show_json(_entry(place))
    else:
        click.echo(f"{release.MODEL} is here: {place}")
        click.echo(f"next: {_next_step(place)}")
    return DONE


def is_here(data_dir: Path) -> bool:
    """Whether all of the weights are there, published ones or others."""
    return all((release.folder_in(data_dir) / file.path).is_file() for file in release.FILES)


def pull_size() -> str:
    """How much is to be fetched, for people."""
    return size(sum(file.size for file in release.FILES))


def _data_dir() -> Path:
    return paths.data_dir(config.load(os.environ, file=paths.config_file(os.environ)))


def _servers(source: str, mirror: str | None) -> tuple[release.Source, ...]:
    if mirror is None:
        return _SOURCES[source]
    if not mirror.startswith(("http://", "https://")):
        raise Usage(f"--mirror must be an address, such as https://hf-mirror.com, not {mirror!r}")
    return (release.mirror(mirror),)


def _bring(
    place: Path, folder: str | None, unchecked: bool, servers: tuple[release.Source, ...]
) -> None:
    """Fetch or copy, shown on stderr."""
    meter = Meter(sys.stderr)

    def progress(at: release.Progress) -> None:
        meter(at.file, at.done_bytes, at.total_bytes)

    try:
        if folder is None:
            release.pull(place, files=release.FILES, sources=servers, progress=progress)
        else:
            release.from_dir(
                Path(folder).expanduser(),
                place,
                files=release.FILES,
                progress=progress,
                checked=not unchecked,
            )
    except Signalled:
        meter.close()
        if folder is None:
            note(f"stopped; what has come is kept: type `{COMMAND}` again to go on")
        raise
    finally:
        meter.close()


def _entry(place: Path) -> dict[str, Any]:
    total = sum(file.size for file in release.FILES)
    present = release.present_bytes(place, release.FILES)
    return {
        "name": ENGINE,
        "model": release.MODEL,
        "path": str(place),
        "bytes": total,
        "present_bytes": present,
        "complete": is_here(_data_dir()),
        "license": release.LICENSE,
    }


def _list(place: Path, as_json: bool) -> int:
    entry = _entry(place)
    if as_json:
        show_json({"models": [entry]})
        return DONE
    share = entry["present_bytes"] / entry["bytes"]
    state = "here" if entry["complete"] else f"{share:.0%} here" if share else "not here"
    click.echo(table([(ENGINE, release.MODEL, size(entry["bytes"]), state)]))
    if not entry["complete"]:
        click.echo(f"next: {COMMAND}")
    return DONE


def _next_step(place: Path) -> str:
    """What to type now; voices inside the weights are made pickable first."""
    engine = find(ENGINE)
    assert engine is not None  # it is our own
    if missing(engine):
        return engine.install
    voicepacks = _data_dir() / "voicepacks"
    if (place / _SPEAKERS).is_file():
        _unpack_speakers(place, voicepacks / ENGINE)
    own = [v.name for v in Catalog([voicepacks]).voices().values() if v.engine == ENGINE]
    if own:
        return f'cosy say -v {min(own)} "Hello."'
    return 'cosy voices add NAME RECORDING --text "what is said in it"'


def _unpack_speakers(place: Path, voicepacks: Path) -> None:
    """Make a voicepack for each voice inside the weights; in a process that may load torch."""
    module = f"cosyd.engines.{ENGINE}.speakers"
    done = subprocess.run(
        [sys.executable, "-P", "-m", module, str(place), str(voicepacks)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = ""
        with suppress(IndexError):
            reason = f": {done.stderr.strip().splitlines()[-1]}"
        note(f"the voices in {_SPEAKERS} cannot be used{reason}")
