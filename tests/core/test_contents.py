"""What a folder holds, through links, and whether it still does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_checks.core.contents import Contents, files_of
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Base
from lora_checks.diffusion import base

PINNED = "0589e7d42c7be0466071bf08ddbb4df95c1d6af12ee38d19e3f68507c61b3194"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose ``unet`` and ``vae/deep`` are links, and whose ``te/model.bin`` is one to a file."""
    found, elsewhere = tmp_path / "pipeline", tmp_path / "elsewhere"
    for name in ("unet", "deep"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "weights").write_bytes(name.encode())
    (elsewhere / "model.bin").write_bytes(b"text encoder")
    for name in ("vae", "te"):
        (found / name).mkdir(parents=True)
    (found / "model_index.json").write_text("{}")
    (found / "unet").symlink_to(elsewhere / "unet")
    (found / "vae" / "deep").symlink_to("../../elsewhere/deep")
    (found / "te" / "model.bin").symlink_to(elsewhere / "model.bin")
    return found


def test_a_link_is_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    plain = Path(shutil.copytree(folder, tmp_path / "plain", symlinks=False))
    assert Contents(folder).of(folder) == Contents(plain).of(plain)
    (tmp_path / "link").symlink_to(folder)
    assert Contents(tmp_path / "link").of(tmp_path / "link") == Contents(plain).of(plain)


@pytest.mark.parametrize("file", ["unet/weights", "vae/deep/weights", "te/model.bin"])
def test_what_lies_behind_a_link_is_part_of_the_digest(folder: Path, file: str) -> None:
    before = Contents(folder).of(folder)
    (folder / file).write_bytes(b"other weights")
    assert Contents(folder).of(folder) != before


def test_the_digest_of_a_folder_without_links_stays(tmp_path: Path) -> None:
    """Stored images and approved reports carry it."""
    (tmp_path / "unet" / "a.b").mkdir(parents=True)
    (tmp_path / "unet" / "a.b" / "x").write_bytes(b"1")
    (tmp_path / "unet" / "a").write_bytes(b"2")
    (tmp_path / "unet.json").write_bytes(b"3")
    (tmp_path / "README.md").write_bytes(b"words")
    assert Contents(tmp_path).of(tmp_path) == PINNED


def cycle_to_itself(folder: Path) -> None:
    (folder / "vae" / "again").symlink_to(folder)


def cycle_of_two(folder: Path) -> None:
    (folder / "vae" / "other").symlink_to(folder / "te")
    (folder / "te" / "back").symlink_to(folder / "vae")


def link_to_itself(folder: Path) -> None:
    (folder / "vae" / "round").symlink_to("round")


def dangling(folder: Path) -> None:
    (folder / "vae" / "gone").symlink_to("nowhere.safetensors")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "vae" / "pipe")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cycle_to_itself, "is a link to a folder that it lies in, so it has no end; remove the link"),
        (cycle_of_two, "is a link to a folder that it lies in, so it has no end; remove the link"),
        (link_to_itself, "vae/round: is a link to nothing; put the file there or remove the link"),
        (dangling, "vae/gone: is a link to nothing; put the file there or remove the link"),
        (pipe, "vae/pipe: is neither a file nor a folder; remove it"),
    ],
)
def test_a_folder_without_end_or_content_is_refused(
    folder: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    damage(folder)
    with pytest.raises(ConfigError, match=sentence):
        files_of(folder)
    with pytest.raises(ConfigError, match=sentence):
        base.resolve(Base(str(folder)))


def test_two_links_to_one_folder_are_no_cycle(folder: Path, tmp_path: Path) -> None:
    (folder / "unet2").symlink_to(tmp_path / "elsewhere" / "unet")
    assert [str(path.relative_to(folder)) for path in files_of(folder)] == [
        *("model_index.json", "te/model.bin", "unet/weights", "unet2/weights", "vae/deep/weights")
    ]


def written(file: Path) -> None:
    file.write_bytes(b"other")


def same_size_and_time(file: Path) -> None:
    """Only the time of the change of the file's status tells, which nobody can set."""
    before = file.stat()
    file.write_bytes(b"X" * before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed_over(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"X" * file.stat().st_size)
    other.replace(file)


def added(file: Path) -> None:
    file.with_name("another").touch()


def removed(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("change", [written, same_size_and_time, renamed_over, added, removed])
def test_a_change_is_noticed(folder: Path, change: Callable[[Path], None], loaded: bool) -> None:
    contents = Contents(folder)
    assert contents.changed(loaded=loaded) == ""
    change(folder / "unet" / "weights")
    assert str(folder / "unet") in contents.changed(loaded=loaded)


def test_a_link_that_leads_elsewhere_is_a_change(folder: Path) -> None:
    contents = Contents(folder)
    (folder / "unet").unlink()
    shutil.copytree(folder / "vae" / "deep", folder / "unet")
    assert contents.changed() == str(folder / "unet" / "weights")


def test_what_was_exchanged_and_put_back_while_it_was_loaded_is_a_change(folder: Path) -> None:
    contents, weights = Contents(folder), folder / "unet" / "weights"
    aside = weights.rename(weights.with_name("aside"))
    weights.write_bytes(b"other weights")
    weights.unlink()
    aside.rename(weights)
    assert contents.changed(loaded=True) == str(weights)
    assert contents.changed(loaded=True) == ""  # hashed anew
