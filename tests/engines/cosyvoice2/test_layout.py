"""A release's files are looked for; its settings give numbers, and run nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2 import layout
from cosyd.engines.cosyvoice2.layout import Settings, read_settings
from cosyd.errors import ModelLoadFailed, ModelNotFound

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"cosyvoice2\.yaml, llm\.pt, flow\.pt, hift\.pt, "):
        layout.check(tmp_path)


def settings_of(tmp_path: Path, yaml: str, qwen: str = "{}") -> Settings:
    (tmp_path / layout.QWEN).mkdir(exist_ok=True)
    (tmp_path / layout.YAML).write_text(yaml, encoding="utf-8")
    (tmp_path / layout.QWEN_CONFIG).write_text(qwen, encoding="utf-8")
    return read_settings(tmp_path)


def test_the_golden_settings() -> None:
    settings = read_settings(GOLDEN)
    assert settings.integer("llm.speech_token_size") == 729
    assert settings.integers("llm.mix_ratio") == (5, 15)
    assert settings.number("llm.sampling.top_p") == 0.8
    assert settings.integer("flow.encoder.static_chunk_size") == 25
    assert settings.integer("flow.decoder.estimator.static_chunk_size") == 50
    assert settings.number("flow.decoder.cfm_params.content.sigma_min") == 1e-6
    assert settings.integer_lists("hift.resblock_dilation_sizes") == ((1, 3, 5),) * 3
    assert settings.qwen_number("rope_theta") == 1e6
    assert settings.qwen_integer("num_hidden_layers") == 2


def test_tags_are_read_as_what_they_stand_before(tmp_path: Path) -> None:
    yaml = (
        "__seed: !apply:torch.manual_seed [1986]\n"
        "size: 7\n"
        "twice: !ref <size> * 2\n"
        "part: !new:os.system\n    width: !ref <size>\n    deep: !name:x.y\n        n: 3\n"
        "list: !ref [1, 2]\n"
        "opener: !name:a.b\n"
        "pipeline: [!ref <opener>, !ref <part>]\n"
    )
    settings = settings_of(tmp_path, yaml)
    assert settings.integer("part.width") == 7
    assert settings.integer("twice") == 14
    assert settings.integer("part.deep.n") == 3
    assert settings.integers("list") == (1, 2)
    assert settings.integers("__seed") == (1986,)
    for name in ("opener", "pipeline", "part", "nothing", "size.deeper"):
        with pytest.raises(ModelLoadFailed, match=rf"cosyvoice2\.yaml: (no number )?{name}"):
            settings.number(name)


def test_nothing_is_constructed(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    yaml = f"a: !!python/object/apply:os.mkdir ['{witness}']\n"
    with pytest.raises(ModelLoadFailed, match=r"cosyvoice2\.yaml: could not determine"):
        settings_of(tmp_path, yaml)
    settings_of(tmp_path, f"a: !new:os.mkdir ['{witness}']\nb: !apply:os.mkdir ['{witness}']\n")
    assert not witness.exists()


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("a: [1", "cosyvoice2.yaml"),
        ("just text", "no settings in it"),
        ("", "no settings in it"),
        ("[" * 5000, "nested too deep"),
        ("# " + "x" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_broken_yaml(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(ModelLoadFailed, match=message):
        settings_of(tmp_path, yaml)


@pytest.mark.parametrize("qwen", ["{", "[]", "", "[" * 100_000])
def test_broken_json(tmp_path: Path, qwen: str) -> None:
    with pytest.raises(ModelLoadFailed):
        settings_of(tmp_path, "a: 1", qwen)


@pytest.mark.parametrize("value", ["true", "'x'", ".nan", ".inf", "{b: 1}", "!ref <b>", "!ref b"])
def test_what_is_no_number(tmp_path: Path, value: str) -> None:
    settings = settings_of(tmp_path, f"a: {value}\nb: [1]\n")
    with pytest.raises(ModelLoadFailed, match="a"):
        settings.number("a")


@pytest.mark.parametrize("value", ["0", "-1", "1.5"])
def test_what_is_no_size(tmp_path: Path, value: str) -> None:
    settings = settings_of(tmp_path, f"a: {value}\nb: [{value}]\nc: [[{value}]]\nd: 3\n")
    for read in (settings.integer, settings.integers, settings.integer_lists):
        for name in "abcd":
            if (read, name) != (settings.integer, "d"):
                with pytest.raises(ModelLoadFailed):
                    read(name)


def test_defaults(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "a: 1")
    assert settings.integer("b", 5) == 5
    assert settings.qwen_number("c", 0.5) == 0.5


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_gives_settings_or_the_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            settings_of(Path(folder), text, text)
        except ModelLoadFailed as error:
            assert "\n" not in str(error)
