"""Training pictures among the references are found by bytes, by pixels and by embedding."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from world import MINIATURE, Gate

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageFile, ImageSet
from lora_checks.core.store import Store
from lora_checks.images.sets import image_set
from lora_checks.judge.overlap import nearest_distances, refuse_alike, refuse_shared, refuse_twice


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def folders(tmp_path: Path, photos: list[np.ndarray]) -> tuple[Path, Path]:
    """Make two folders of two pictures, all different."""
    train, references = tmp_path / "t", tmp_path / "r"
    for folder, pictures in ((train, photos[:2]), (references, photos[2:4])):
        folder.mkdir()
        for i, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return train, references


def sets(folders: tuple[Path, Path]) -> tuple[ImageSet, ImageSet]:
    return image_set("train", folders[0]), image_set("references", folders[1])


def test_different_pictures_are_welcome(folders: tuple[Path, Path], store: Store) -> None:
    refuse_shared(*sets(folders), store)


def test_the_same_file_under_another_name(folders: tuple[Path, Path], store: Store) -> None:
    (folders[1] / "copy.png").write_bytes((folders[0] / "1.png").read_bytes())
    with pytest.raises(ConfigError, match=r"train/1\.png and references/copy\.png are the same file; hold"):
        refuse_shared(*sets(folders), store)


@pytest.mark.parametrize("scale", [1, 2, 0.75])
def test_the_same_picture_compressed_and_scaled(
    folders: tuple[Path, Path], photos: list[np.ndarray], store: Store, scale: float
) -> None:
    picture = Image.fromarray(photos[1])
    size = round(picture.width * scale), round(picture.height * scale)
    picture.resize(size, Image.Resampling.LANCZOS).save(folders[1] / "again.jpg", quality=85)
    with pytest.raises(ConfigError, match=r"train/1\.png and references/again\.jpg show the same picture"):
        refuse_shared(*sets(folders), store)


def test_a_reference_that_is_there_twice(folders: tuple[Path, Path]) -> None:
    references = sets(folders)[1]
    refuse_twice(references)
    folder = references.images[0].path.parent
    shutil.copy(references.images[0].path, folder / "again.png")
    with pytest.raises(
        ConfigError, match=r"references/.*again.png.* are the same file; remove one of the two"
    ):
        refuse_twice(image_set("references", folder))


def test_the_miniatures_folders_do_not_overlap(store: Store) -> None:
    """Drawings of one person in different clothes are as alike as different pictures get."""
    refuse_shared(
        image_set("train", MINIATURE / "train"), image_set("references", MINIATURE / "references"), store
    )


def test_statistics_cannot_be_looked_at(folders: tuple[Path, Path], store: Store) -> None:
    refuse_shared(
        sets(folders)[0], ImageSet("references", (), statistics=ImageFile(Path("x.npz"), "", "x.npz")), store
    )


def test_an_embedding_that_is_far_nearer_than_two_references_ever_are(folders: tuple[Path, Path]) -> None:
    references = np.array([[1.0, 0, 0], [0, 1, 0]])
    apart = np.array([[0.8, 0.6, 0], [0, 0, 1]])
    refuse_alike(*sets(folders), apart, references, "the network")
    near = np.array([[0, 0, 2], [0.1, 3, 0]])
    with pytest.raises(
        ConfigError,
        match=r"train/1\.png and references/1\.png are one picture to the network \(0\.033 apart, ",
    ):
        refuse_alike(*sets(folders), near, references, "the network")


def test_a_picture_without_an_embedding_hides_no_other(folders: tuple[Path, Path]) -> None:
    """The network saw nothing in the first picture of each folder; the second ones are alike."""
    for folder, picture in zip(folders, (20, 40), strict=True):
        Image.new("RGB", (8, 8), (picture, picture, picture)).save(folder / "2.png")
    x = np.array([[np.nan] * 3, [0.1, 3, 0], [0, 0, 1]])
    y = np.array([[np.nan] * 3, [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ConfigError, match=r"train/1\.png and references/2\.png are one picture"):
        refuse_alike(*sets(folders), x, y, "the network")
    refuse_alike(*sets(folders), x[[0, 0, 0]], y, "the network")  # nothing to compare
    refuse_alike(*sets(folders), x, y[[0, 0, 2]], "the network")


def test_the_nearest_two_references_say_what_is_near(folders: tuple[Path, Path]) -> None:
    """References 20 degrees apart and a third 70 degrees away: 10 degrees is not a copy, 3 degrees is."""

    def at(*degrees: float) -> np.ndarray:
        return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)

    Image.new("RGB", (8, 8)).save(folders[1] / "2.png")
    refuse_alike(*sets(folders), at(100, 180), at(0, 20, 90), "the network")
    with pytest.raises(ConfigError, match=r"train/0\.png and references/2\.png are one picture"):
        refuse_alike(*sets(folders), at(93, 180), at(0, 20, 90), "the network")


def test_likeness_to_a_network_that_finds_all_references_alike_is_nothing(folders: tuple[Path, Path]) -> None:
    alike = np.array([[1, 0.01, 0], [1, 0, 0.01]])
    refuse_alike(*sets(folders), np.array([[1, 0, 0], [1, 0.01, 0.01]]), alike, "the network")


def test_what_is_near_among_real_pictures() -> None:
    apart = np.array([[0, 2, 5], [2, 0, 4], [5, 4, 0.0]])
    np.testing.assert_array_equal(nearest_distances(apart), [2, 2, 4])


def test_the_gate_stops_before_an_image_is_made(gate: Gate) -> None:
    policy = shutil.copytree(gate.world.policy, gate.folder / "policy")
    shutil.copytree(MINIATURE / "train", policy / "train")
    shutil.copy(MINIATURE / "references" / "03.png", policy / "train" / "mine.png")
    text = (policy / "thresholds.yaml").read_text()
    (policy / "thresholds.yaml").write_text(text.replace(f"train: {MINIATURE}/train", "train: train"))
    run = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert run.code == 4
    assert "train/mine.png and references/03.png are the same file; hold references out" in run.err


def test_a_reference_that_is_there_twice_stops_the_gate(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "policy")
    folder = gate.folder / "references"
    shutil.copytree(MINIATURE / "references", folder)
    shutil.copy(folder / "00.png", folder / "00 (copy).png")
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-references", folder)
    assert run.code == 4
    assert "references/00 (copy).png and references/00.png are the same file" in run.err
