"""Sets of pictures in tars, tables and folders: what is listed, what is read, what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shards_made import encoded, write_tar

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.images import tar_shards
from lora_checks.images.decoding import decode, pixels_of
from lora_checks.images.sets import image_set


def _turned(side: int = 40) -> bytes:
    """Return a JPEG that a camera marked to be turned."""
    picture, buffer = Image.new("RGB", (side, side // 2), "teal"), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def _cmyk() -> bytes:
    buffer = io.BytesIO()
    Image.new("CMYK", (30, 50), (10, 200, 30, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_tar_holds_the_pictures_that_a_folder_does(tmp_path: Path) -> None:
    """Same order, bytes and pixels: turned photos, CMYK and mixed sizes included; captions are left out."""
    files = {"a.jpg": _turned(), "b.jpg": _cmyk(), "c.png": encoded(1, side=64), "c.txt": b"a caption"}
    tar = write_tar(tmp_path / "s.tar", files)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    inside, outside = image_set("references", tar).images, image_set("references", folder).images
    assert [image.sha256 for image in inside] == [image.sha256 for image in outside]
    assert [image.name for image in inside] == ["s/a.jpg", "s/b.jpg", "s/c.png"]
    for image, file in zip(inside, outside, strict=True):
        np.testing.assert_array_equal(pixels_of(image), decode(file.path))


def test_shards_follow_each_other(tmp_path: Path) -> None:
    for shard in range(3):
        write_tar(
            tmp_path / f"{shard:03}.tar", {f"{shard}-{i}.png": encoded(10 * shard + i) for i in range(2)}
        )
    found = image_set("references", tmp_path / "{000..002}.tar").images
    assert [image.name for image in found] == [f"{s:03}/{s}-{i}.png" for s in range(3) for i in range(2)]
    assert found[3].where == f"{tmp_path / '001.tar'}: 1-1.png"


def test_shards_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    for part in ("x", "y"):
        (tmp_path / part).mkdir()
        write_tar(tmp_path / part / "0.tar", {"a.png": encoded(ord(part))})
    found = image_set("references", tmp_path / "{x,y}" / "0.tar").images
    assert [image.name for image in found] == ["x/0/a.png", "y/0/a.png"]


def test_a_damaged_picture_is_named_with_its_shard(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "7.tar", {"000123.jpg": encoded(0, "JPEG")[:300]})
    (image,) = image_set("references", tar).images
    with pytest.raises(MeasureError, match=r"7\.tar: 000123\.jpg: cannot be decoded"):
        pixels_of(image)


def test_a_shard_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "7.tar", {"a.png": encoded(0)})
    (image,) = image_set("references", tar).images
    write_tar(tar, {"a.png": encoded(1)})
    with pytest.raises(MeasureError, match=r"7\.tar: a\.png changed while it was being used"):
        pixels_of(image)


@pytest.mark.parametrize("cut", [700, 1500, 5000])
def test_a_tar_that_is_cut_off_is_refused(cut: int, tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "0.tar", {f"{i}.png": encoded(i, side=20) for i in range(4)})
    whole = tar.read_bytes()
    tar.write_bytes(whole[:cut])
    with pytest.raises(ConfigError, match=r"0\.tar"):
        image_set("references", tar)


def test_a_tar_without_its_end_is_refused(tmp_path: Path) -> None:
    """A copy that stopped between two pictures looks like a shorter tar to Python's reader."""
    tar = write_tar(tmp_path / "0.tar", {f"{i}.png": encoded(i, side=20) for i in range(4)})
    (*_, last) = tarfile.open(tar).getmembers()  # noqa: SIM115
    tar.write_bytes(tar.read_bytes()[: last.offset])
    with pytest.raises(ConfigError, match="has an end mark"):
        image_set("references", tar)


def test_damage_in_the_middle_does_not_end_a_tar_early(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "0.tar", {f"{i}.png": encoded(i, side=20) for i in range(4)})
    third = tarfile.open(tar).getmembers()[2].offset  # noqa: SIM115
    content = bytearray(tar.read_bytes())
    content[third : third + 100] = b"\xff" * 100
    tar.write_bytes(content)
    with pytest.raises(ConfigError, match="is damaged"):
        image_set("references", tar)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.avif": b"x"}, r"a\.avif: \.avif pictures are not read"),
        ({"a.txt": b"x"}, "no pictures there"),
    ],
)
def test_what_would_be_left_out_is_refused(files: dict[str, bytes], why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=why):
        image_set("references", write_tar(tmp_path / "0.tar", files))


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.tar"
    with tarfile.open(path, "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("a.png"))
    with pytest.raises(ConfigError, match=r"a\.png: is there twice"):
        image_set("references", path)


def test_a_link_in_a_tar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ConfigError, match=r"a\.png: is a link"):
        image_set("references", path)


def test_a_compressed_tar_is_refused(tmp_path: Path) -> None:
    plain = write_tar(tmp_path / "0.tar", {"a.png": encoded(0)})
    (tmp_path / "0.tar.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(ConfigError, match="compressed tars are not read"):
        image_set("references", tmp_path / "0.tar.gz")
    plain.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(ConfigError, match="not a whole, uncompressed tar"):
        image_set("references", plain)


def test_a_folder_of_shards_says_how_to_name_them(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"a.png": encoded(0)})
    with pytest.raises(ConfigError, match=r"for the files in it name .*\*\.tar"):
        image_set("references", tmp_path)


def test_a_shard_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its list is kept while the file is what it was, and made anew after that."""
    tar = write_tar(tmp_path / "0.tar", {"a.png": encoded(0)})
    long_ago = 1_600_000_000
    os.utime(tar, (long_ago, long_ago))
    monkeypatch.setattr("lora_checks.core.known_digests.TICK", -(10**18))  # the inode's time is now
    known = tmp_path / "known"
    first = image_set("references", tar, known)
    with monkeypatch.context() as patched:
        patched.setattr(tar_shards, "members", lambda *_: pytest.fail("hashed again"))
        assert image_set("references", tar, known) == first
    write_tar(tar, {"a.png": encoded(1)})
    (changed,) = image_set("references", tar, known).images
    assert changed.sha256 == hashlib.sha256(encoded(1)).hexdigest()


# --- tables ------------------------------------------------------------------------------------------


@pytest.fixture
def pictures() -> list[bytes]:
    return [encoded(i, "JPEG" if i % 2 else "PNG") for i in range(7)]


def test_a_dataset_saved_on_disk(pictures: list[bytes], tmp_path: Path) -> None:
    """The files of its image column, in the order of its rows, over several parts."""
    datasets = pytest.importorskip("datasets")
    rows = {"image": [{"bytes": content, "path": None} for content in pictures], "label": list(range(7))}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    dataset = datasets.Dataset.from_dict(rows, features=features)
    dataset.save_to_disk(tmp_path / "saved", num_shards=3)
    found = image_set("references", tmp_path / "saved").images
    assert [image.sha256 for image in found] == [hashlib.sha256(content).hexdigest() for content in pictures]
    assert found[3].where.endswith("00001-of-00003.arrow: row 0")
    pixels = np.asarray(dataset[3]["image"].convert("RGB"))
    np.testing.assert_array_equal(pixels_of(found[3]), pixels)


def test_splits_are_named(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    split = datasets.Dataset.from_dict({"a": [1]})
    datasets.DatasetDict({"train": split, "test": split}).save_to_disk(tmp_path / "saved")
    with pytest.raises(ConfigError, match=r"holds the splits test, train; name one"):
        image_set("references", tmp_path / "saved")


def test_parquet_files(pictures: list[bytes], tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for part, contents in enumerate((pictures[:4], pictures[4:])):
        column = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(contents)]
        table = pyarrow.table({"image": column, "text": ["a caption"] * len(contents)})
        parquet.write_table(table, tmp_path / f"part-{part}.parquet", row_group_size=2)
    found = image_set("references", tmp_path / "part-*.parquet").images
    assert [image.sha256 for image in found] == [hashlib.sha256(content).hexdigest() for content in pictures]
    assert pixels_of(found[6]).shape == (40, 40, 3)


def test_a_row_without_a_picture_is_named(pictures: list[bytes], tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    column = [{"bytes": pictures[0], "path": ""}, {"bytes": None, "path": "elsewhere.png"}]
    parquet.write_table(pyarrow.table({"image": column}), tmp_path / "p.parquet")
    with pytest.raises(ConfigError, match=r"p\.parquet: row 1: 'image' holds no bytes"):
        image_set("references", tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"text": ["a"]}, "no column of pictures"),
        ({"a": [b"x"], "b": [b"y"]}, r"several columns of pictures \(a, b\)"),
    ],
)
def test_one_column_holds_the_pictures(columns: dict[str, list[object]], why: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), tmp_path / "p.parquet")
    with pytest.raises(ConfigError, match=why):
        image_set("references", tmp_path / "p.parquet")


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "p.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ConfigError, match=r"p\.parquet: cannot be read as a table"):
        image_set("references", tmp_path / "p.parquet")
