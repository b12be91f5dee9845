"""--lora, --lora-scale and --lora-with as records."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from world import MINIATURE

from lora_checks.core.errors import ConfigError, LoraFileError
from lora_checks.lora.candidates import Candidate, candidates, companions

GOOD = MINIATURE / "loras" / "good.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("person", "style"):
        shutil.copy(GOOD, tmp_path / f"{name}.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"")
    return tmp_path


def test_without_scales_each_file_is_gated_as_it_is(folder: Path) -> None:
    found = candidates(["person.safetensors", "style.safetensors"], None, folder)
    assert found == {
        "person": Candidate("person", folder / "person.safetensors", 1.0),
        "style": Candidate("style", folder / "style.safetensors", 1.0),
    }


def test_every_file_at_every_strength_named_by_it(folder: Path) -> None:
    found = candidates(["person.safetensors", "style.safetensors"], "0.6, 1.0,-0.25", folder)
    assert list(found) == [
        *("person:0.6", "person:1", "person:-0.25"),
        *("style:0.6", "style:1", "style:-0.25"),
    ]
    assert [candidate.scale for candidate in found.values()] == [0.6, 1.0, -0.25] * 2


def test_a_candidate_is_read_with_its_name_and_strength(folder: Path) -> None:
    lora = candidates(["person.safetensors"], "0.6", folder)["person:0.6"].read()
    assert (lora.name, lora.scale, lora.path) == ("person:0.6", 0.6, folder / "person.safetensors")


def test_a_damaged_candidate_is_found_when_it_is_read_and_not_before(folder: Path) -> None:
    found = candidates(["broken.safetensors"], None, folder)
    with pytest.raises(LoraFileError, match="is empty"):
        found["broken"].read()


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ("", "--lora-scale: '' is not a strength; write numbers such as 0.8"),
        ("0.6,,1", "--lora-scale: '' is not a strength"),
        ("0.6;1", "--lora-scale: '0.6;1' is not a strength"),
        ("0", "--lora-scale: strength 0 is the base model itself"),
        ("80", "--lora-scale: strength 80 is outside -10 to 10"),
        ("nan", "--lora-scale: strength nan is outside"),
        ("1,1.0", "--lora-scale: 1,1.0 names a strength twice"),
    ],
)
def test_a_strength_that_is_none(folder: Path, scales: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        candidates(["person.safetensors"], scales, folder)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(("given", "scale"), [("style.safetensors:0.7", 0.7), ("style.safetensors", 1.0)])
def test_a_companion_has_a_strength(folder: Path, given: str, scale: float) -> None:
    (found,) = companions([given], folder)
    assert (found.name, found.scale) == ("style", scale)


def test_a_colon_may_be_part_of_a_companion_s_name(folder: Path) -> None:
    shutil.copy(GOOD, folder / "style:2")
    assert companions(["style:2"], folder)[0].scale == 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["stile.safetensors:0.7"], "stile.safetensors does not exist; did you mean 'style.safetensors'?"),
        (["style.safetensors:much"], "'much' is not a strength; write numbers such as 0.8"),
        (["style.safetensors:0"], "strength 0 is the base model itself"),
        (["broken.safetensors"], "broken.safetensors is empty"),
        (["."], ". names 3 files; a companion is one"),
        (["style.safetensors", "person.safetensors"], "person.safetensors is given twice"),
    ],
    ids=str,
)
def test_a_companion_that_cannot_be_used(folder: Path, given: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        companions(given, folder)
    assert str(error.value).startswith("--lora-with: ")
    assert message in str(error.value)


def test_strengths_that_are_written_alike_would_be_one_lora_less(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"two of the LoRAs would be called 'person:0\.333333'"):
        candidates(["person.safetensors"], "0.3333331,0.3333332", folder)
