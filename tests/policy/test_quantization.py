"""``quantization:`` and .gguf files under ``base:``: read strictly, each error with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import NetworkFile, Quantization
from lora_checks.diffusion.quantised.formats import LIBRARIES
from lora_checks.policy.quantization_formats import FORMATS
from lora_checks.policy.sampling import base_of
from lora_checks.policy.strict_yaml import load


def read(folder: Path, text: str) -> object:
    path = folder / "prompts.yaml"
    path.write_text(f"base:\n  model: owner/name\n{text}")
    return base_of(load(path).mapping()["base"], folder)


def test_networks_are_quantised_by_name(tmp_path: Path) -> None:
    base = read(
        tmp_path,
        "  quantization:\n"
        "    transformer: {library: bitsandbytes, format: nf4, skip: [proj_out]}\n"
        "    text_encoder_2: {library: torchao, format: int8wo}\n",
    )
    assert base.quantization == {  # type: ignore[attr-defined]
        "transformer": Quantization("bitsandbytes", "nf4", ("proj_out",)),
        "text_encoder_2": Quantization("torchao", "int8wo"),
    }
    assert base.quantization["transformer"].place.endswith(":4: base.quantization.transformer")  # type: ignore[attr-defined]


def test_a_gguf_file_is_a_path_or_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "flux.gguf").touch()
    here = read(tmp_path, "  transformer: ./flux.gguf\n")
    assert here.gguf == {"transformer": NetworkFile(str(tmp_path / "flux.gguf"))}  # type: ignore[attr-defined]
    for text in ("city96/FLUX.1-dev-gguf/flux1-dev-Q4_K_S.gguf", "a/b@v1.0/folder/file.gguf"):
        assert read(tmp_path, f"  unet: {text}\n").gguf == {"unet": NetworkFile(text)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  quantization: nf4", ":3: base.quantization: must be a mapping"),
        ("  quantization: {}", ":3: base.quantization: names no network"),
        ("  quantization: {transformer: {library: quanto}}", "transformer: 'format' is missing"),
        (
            "  quantization:\n    transformer: {library: gptq, format: int4}",
            ":4: base.quantization.transformer.library: must be one of bitsandbytes, torchao, quanto",
        ),
        (
            "  quantization:\n    transformer: {library: torchao, format: nf4}",
            ":4: base.quantization.transformer.format: torchao has no format 'nf4' (bitsandbytes has it); "
            "known: int8wo, int8dq, fp8wo, fp8dq",
        ),
        (
            "  quantization: {transformer: {library: quanto, format: int8, bits: 4}}",
            "transformer.bits: unknown key; ",
        ),
        ("  transformer: ./nowhere.gguf", ":3: base.transformer: "),
        ("  transformer: ./prompts.yaml", "is no .gguf file; give a .gguf file, or 'owner/name/file.gguf'"),
        ("  transformer: owner/name", "does not exist; give a .gguf file"),
        (
            "  transformer: a/b/c.gguf\n  quantization:\n    transformer: {library: quanto, format: int8}",
            ":5: base.quantization.transformer: its weights come quantised, from the .gguf file",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text + "\n")
    assert said in str(error.value)


def test_a_gguf_file_is_no_whole_base(tmp_path: Path) -> None:
    (tmp_path / "flux.gguf").touch()
    path = tmp_path / "prompts.yaml"
    path.write_text("base: {model: ./flux.gguf}\n")
    with pytest.raises(
        ConfigError, match="has the weights of a denoiser alone; name the pipeline of its family"
    ):
        base_of(load(path).mapping()["base"], tmp_path)


def test_the_formats_that_are_read_are_those_that_are_loaded() -> None:
    assert {name: tuple(library.formats) for name, library in LIBRARIES.items()} == dict(FORMATS)
