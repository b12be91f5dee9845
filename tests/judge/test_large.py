"""Large sets of references in a policy: the same values, and a word before what needs memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shards_made import encoded, write_tar
from small_policy import small_policy
from world import MINIATURE

from lora_checks.core import memory
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageFile, ImageSet, Prompt
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.images.sets import image_set
from lora_checks.judge import evaluate, large, overlap
from lora_checks.judge.measurer import Measurer
from lora_checks.networks import features
from lora_checks.record import pictures as recorded

NETWORK = f"networks: {{trunk: {{file: '{MINIATURE / 'evaluators/trunk/trunk.safetensors'}'}}}}\n"
CHECKS = """
checks:
  frechet: {metric: trunk_frechet, max: 1.0e+9, why: w}
  kernel: {metric: polynomial_mmd, network: trunk, max: 1.0e+9, why: w}
"""


@pytest.fixture
def shards(tmp_path: Path) -> str:
    for shard in range(2):
        write_tar(tmp_path / f"{shard}.tar", {f"{i}.png": encoded(100 * shard + i) for i in range(20)})
    return str(tmp_path / "{0..1}.tar")


@pytest.fixture
def measurer(shards: str, tmp_path: Path) -> Measurer:
    policy = small_policy(tmp_path, f"folders: {{references: '{shards}'}}\n{NETWORK}{CHECKS}")
    return Measurer(policy, Store(tmp_path / "store"), "cpu", lambda _: _nothing, lambda images: images)


def _nothing(_total: int) -> object:
    from lora_checks.core.filling import silent

    return silent(0)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Twenty images of ten prompts."""
    folder = tmp_path / "made"
    folder.mkdir()
    found = list[ImageFile]()
    for i in range(20):
        Image.fromarray(np.full((40, 40, 3), 12 * i, np.uint8)).save(folder / f"{i}.png")
        prompt = Prompt(f"p{i // 2}", "a photo")
        found.append(image_file(folder / f"{i}.png", f"p{i // 2}/{i % 2}", prompt, i % 2))
    return ImageSet("candidate", tuple(found))


@pytest.mark.parametrize("row", [0, 1])
def test_blocks_and_single_rows_measure_the_same(
    row: int, measurer: Measurer, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards are measured like any pictures, and as a large set with the same value and interval."""
    measurer.preflight()
    small = measurer.measure_row(measurer.policy.thresholds[row], images)
    monkeypatch.setattr(features, "LARGE", 40)  # the references, not the images
    as_large = measurer.measure_row(measurer.policy.thresholds[row], images)
    assert as_large.value == pytest.approx(small.value, rel=1e-5)
    assert (as_large.low, as_large.high) == pytest.approx((small.low, small.high), rel=1e-4)
    assert as_large.against == "references (40)"
    assert list(measurer.store.root.glob("arrays/*/*/*.npy"))


def test_equal_pictures_in_two_shards_are_refused(measurer: Measurer, tmp_path: Path) -> None:
    write_tar(tmp_path / "1.tar", {"x.png": encoded(3)})
    with pytest.raises(ConfigError, match=r"references/0/3\.png and references/1/x\.png are the same file"):
        measurer.preflight()


def test_a_training_picture_in_a_large_set_is_found(
    shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references, store = image_set("references", Path(shards)), Store(tmp_path / "store")
    (tmp_path / "train").mkdir()
    content = encoded(107)
    (tmp_path / "copy.png").write_bytes(content)
    Image.open(tmp_path / "copy.png").save(tmp_path / "train" / "copy.bmp")
    monkeypatch.setattr(overlap, "LARGE", 40)
    monkeypatch.setattr(overlap, "ROWS", 16)
    monkeypatch.setattr(overlap.parts, "__defaults__", (16,))
    with pytest.raises(ConfigError, match=r"train/copy\.bmp and references/1/7\.png show the same picture"):
        overlap.refuse_shared(image_set("train", tmp_path / "train"), references, store)


def test_the_least_distance_is_found_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(50, 4))
    monkeypatch.setattr(overlap, "ROWS", 16)
    monkeypatch.setattr(overlap.parts, "__defaults__", (16,))
    least = min(overlap._least_apart(x, start) for start in range(0, 50, 16))
    apart = np.linalg.norm(x[:, None] - x, axis=2) + 1e9 * np.eye(50)
    assert least == pytest.approx(apart.min())


@pytest.mark.parametrize(("left", "refused"), [(1 << 40, False), (1 << 30, True)])
def test_a_row_of_all_pairs_tells_its_memory(
    left: int, refused: bool, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = "checks: {near: {metric: precision, network: trunk, min: 0, why: w}}"
    policy = small_policy(tmp_path, f"folders: {{references: '{shards}'}}\n{NETWORK}{checks}")
    some = image_set("references", Path(shards)).images
    many = ImageSet("references", some * 1250)
    monkeypatch.setattr(memory, "available", lambda: left)
    said: list[str] = []
    (row,) = policy.thresholds
    from lora_checks import metrics

    pictures: Callable[[str], ImageSet] = lambda _: many  # noqa: E731
    sentence = r"precision compares all pairs of references \(50000\): up to 55\.9 GiB of memory"
    if refused:
        with pytest.raises(ConfigError, match=sentence + r", and 1\.0 GiB are left"):
            large.refuse(row, metrics.of_row(row), pictures, 50, said.append)
    else:
        large.refuse(row, metrics.of_row(row), pictures, 50, said.append)
        assert said == ["near: precision compares all pairs of references (50000): up to 55.9 GiB of memory"]


def test_of_many_prompts_parts_are_left_out(
    measurer: Measurer, images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are made of whole prompts, by their names, so they are the same in every run."""
    monkeypatch.setattr(evaluate, "LARGE", 20)
    monkeypatch.setattr(evaluate, "PARTS", 9)
    measured = measurer.measure_row(measurer.policy.thresholds[0], images)
    assert {name for name, _ in measured.by_prompt} <= {f"part {i} of 9" for i in range(1, 10)}
    assert len(measured.by_prompt) < 10


def test_the_record_does_not_list_a_large_set(shards: str, monkeypatch: pytest.MonkeyPatch) -> None:
    references = image_set("references", Path(shards))
    listed = recorded.folder(references)
    monkeypatch.setattr(recorded, "LARGE", 40)
    assert len(listed["images"]) == 40
    assert recorded.folder(references) == {"digest": listed["digest"], "images": []}


def test_the_record_names_no_tar_as_the_file_of_a_picture(shards: str, images: ImageSet) -> None:
    """The page would read the whole tar for each of its pictures, to find that it has another digest."""
    (first, *_) = recorded.folder(image_set("references", Path(shards)))["images"]
    assert (first["name"], first["file"], len(first["sha256"])) == ("0/0.png", "", 64)
    assert recorded.picture(images.images[0], None, "")["file"] == str(images.images[0].path.resolve())


def test_a_missing_shard_is_told_with_the_policy(shards: str, tmp_path: Path) -> None:
    missing = shards.replace("{0..1}", "{0..2}")
    policy = small_policy(tmp_path, f"folders: {{references: '{missing}'}}\n{NETWORK}{CHECKS}")
    broken = Measurer(policy, Store(tmp_path / "store"), "cpu", lambda _: _nothing, lambda images: images)
    with pytest.raises(ConfigError, match=r"2\.tar is not a file"):
        broken.preflight()
