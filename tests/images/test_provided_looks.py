"""What pictures made elsewhere show: one picture twice, nothing, another size, the base under two names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_provided_images import IDS, LORA, PROMPTS, draw, every

from lora_checks.core.errors import MeasureError
from lora_checks.images.provided.picture_names import read_names
from lora_checks.images.provided.pictures import GivenImages


def given(folder: Path, base: Path | None = None) -> GivenImages:
    return GivenImages(folder, PROMPTS, read_names("{prompt}_{seed}", folder, IDS), base)


def saved(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def test_one_picture_saved_twice_is_no_second_picture(tmp_path: Path) -> None:
    """Other bytes, such as another program's metadata, and the same pixels."""
    every(tmp_path, "{prompt}_{seed}.png")
    with Image.open(tmp_path / "red_0.png") as image:
        image.load()
        (tmp_path / "blue_1.png").unlink()
        image.save(tmp_path / "blue_1.bmp")
    with pytest.raises(MeasureError, match=r"blue_1.bmp and red_0.png are the same picture"):
        given(tmp_path).described(LORA)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_black_picture_shows_nothing(tmp_path: Path, mode: str) -> None:
    every(tmp_path, "{prompt}_{seed}.png")
    Image.new(mode, (8, 8), (0, 0, 0, 255)[: len(mode)]).save(tmp_path / "red_1.png")
    with pytest.raises(MeasureError, match=r"red_1.png: the picture is black; nothing can be measured on it"):
        given(tmp_path).described(LORA)


def test_other_sizes_than_the_policy_s_are_mentioned(tmp_path: Path) -> None:
    every(tmp_path, "{prompt}_{seed}.png")
    saved(tmp_path / "red_1.png", np.full((8, 16, 3), 9))
    assert "1 not of 8 x 8 as in prompts.yaml (16 x 8)" in given(tmp_path).described(LORA)
    saved(tmp_path / "red_1.png", np.full((8, 8, 3), 9))
    assert "not of" not in given(tmp_path).described(LORA)


@pytest.mark.parametrize(
    "copy",
    [shutil.copy, lambda source, target: Image.open(source).save(target, compress_level=0)],
    ids=["the same file", "saved again"],
)
def test_the_lora_s_pictures_are_not_the_base_s_too(
    tmp_path: Path, copy: Callable[[Path, Path], object]
) -> None:
    """A gain of exactly 0 would pass where a little loss is allowed."""
    every(tmp_path / "with", "{prompt}_{seed}.png")
    (tmp_path / "base").mkdir()
    for path in (tmp_path / "with").iterdir():
        draw(tmp_path / "base" / path.name)
        saved(tmp_path / "base" / path.name, np.full((8, 8, 3), ord(path.name[0]) + ord(path.name[-5])))
    both = given(tmp_path / "with", tmp_path / "base")
    assert len(both.without(both.candidate(LORA)).images) == 4
    copy(tmp_path / "with/red_1.png", tmp_path / "base/red_1.png")
    both = given(tmp_path / "with", tmp_path / "base")
    with pytest.raises(MeasureError, match=r"base/red_1.png shows what .*with/red_1.png shows"):
        both.without(both.candidate(LORA))
