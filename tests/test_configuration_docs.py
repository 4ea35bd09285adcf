"""docs/configuration.md lists the settings as the code has them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from cosyd.config import Config
from cosyd.settings import SETTINGS, Setting
from cosyd.settings_file import check

DOC = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")


def _values(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    return f"{setting.kind.short}{setting.range}"


def _row(setting: Setting) -> str:
    default = json.dumps(setting.show(Config._field_defaults[setting.name]))
    star = "*" if setting.restart else ""
    return f"| `{setting.key}`{star} | {_values(setting)} | `{default}` | {setting.help} |"


def test_the_table_is_the_codes() -> None:
    head = ["| key | value | default | |", "|---|---|---|---|"]
    table = "\n".join([*head, *map(_row, SETTINGS)])
    assert table in DOC, f"let docs/configuration.md have this table:\n{table}"


def test_the_examples_are_read() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOC, re.DOTALL)
    assert blocks
    for block in blocks:
        assert tomllib.loads(block)
        assert len(check("config.toml", block)) == len(tomllib.loads(block))
