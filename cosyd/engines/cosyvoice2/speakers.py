"""Voicepacks of a release's own speakers: `python -m cosyd.engines.cosyvoice2.speakers DIR OUT`.

Some releases bring voices (`spk2info.pt`). Each becomes a voicepack in a directory of its own.
"""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from cosyd.engines.cosyvoice2 import DESCRIPTOR, LANGUAGES, MODEL, SAMPLE_RATE, layout
from cosyd.errors import CosydError

_MAX_SLUG: Final = 64
_NOT_IN_SLUG = re.compile(r"[^\w]+|_+")
_LANGUAGES: Final = {
    "中文": "zh",
    "英文": "en",
    "日语": "ja",
    "韩语": "ko",
    "粤语": "yue",
    "chinese": "zh",
    "english": "en",
    "japanese": "ja",
    "korean": "ko",
    "cantonese": "yue",
}
"""What the releases' speakers are called after → BCP 47 tag."""
_WITHOUT_RECORDING: Final = {"zero_shot", "cross_lingual"}


def write(folder: Path, out: Path) -> list[str]:
    """Write a voicepack `OUT/<slug>/metadata.yaml` for each speaker of the release in `folder`.

    Returns:
        Their names; none where the release brings no speakers.

    Raises:
        ModelLoadFailed: the file of speakers is broken.
        OSError: it cannot be written.
    """
    from cosyd.engines.cosyvoice2.release import read_speakers

    path = folder / layout.SPEAKERS
    names = sorted(read_speakers(path)) if path.exists() else []
    slugs: list[str] = []
    for name in names:
        slugs.append(slug(name, taken=slugs))
        place = out / slugs[-1]
        place.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(_manifest(slugs[-1], name), allow_unicode=True, sort_keys=False)
        partial = place / "metadata.yaml.part"
        partial.write_text(text, encoding="utf-8")
        partial.replace(place / "metadata.yaml")
    return slugs


def slug(name: str, *, taken: Collection[str] = ()) -> str:
    """A name that is a directory's and a voice's: letters, digits and hyphens, in small letters."""
    folded = unicodedata.normalize("NFKC", name).lower()
    base = _NOT_IN_SLUG.sub("-", folded).strip("-")[:_MAX_SLUG].strip("-") or "speaker"
    found, number = base, 2
    while found in taken:
        found, number = f"{base}-{number}", number + 1
    return found


def _manifest(voice: str, speaker: str) -> dict[str, Any]:
    own = next((tag for word, tag in _LANGUAGES.items() if word in speaker.lower()), None)
    others = [tag for tag in LANGUAGES if tag != own]
    return {
        "name": voice,
        "family": DESCRIPTOR.name,
        "model_id": MODEL,
        "version": "1",
        "description": f"CosyVoice 2's speaker {speaker}",
        "languages": [own, *others] if own else others,
        "capabilities": [
            each for each in DESCRIPTOR.capabilities if each not in _WITHOUT_RECORDING
        ],
        "tags": ["cosyvoice2"],
        "audio": {"sample_rate": SAMPLE_RATE},
        "license": DESCRIPTOR.license,
        "speaker": speaker,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the voicepacks and name them. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cosyd.engines.cosyvoice2.speakers",
        description="Write a voicepack for each speaker of a release.",
    )
    parser.add_argument("folder", type=Path, help="the release")
    parser.add_argument("out", type=Path, help="where each gets a directory")
    options = parser.parse_args(arguments)
    try:
        names = write(options.folder, options.out)
    except CosydError as error:
        print(error.message, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 1
    for name in names:
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
