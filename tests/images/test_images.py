"""The one decoder: what each kind of file becomes, and what is refused."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from world import MINIATURE

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.images import decoding
from lora_checks.images.decoded import Decoded
from lora_checks.images.decoding import decode, image_file, list_images
from lora_checks.images.sets import image_set

RED, WHITE = (255, 0, 0), (255, 255, 255)


def half_red(width: int = 6, height: int = 4) -> Image.Image:
    """Left half red, right half blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = RED
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("pixels", [0, 1 << 30])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_is_inflated_once_or_in_pieces_to_the_same_pixels(
    mode: str, pixels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "UNPACKED_PIXELS", pixels)
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    image = Image.fromarray(values).convert("I" if mode == "I;16" else mode)
    image = image.convert("I;16") if mode == "I;16" else image
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), decode(tmp_path / "a.png", known=True))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "PNG"])
def test_lossless_files_keep_their_pixels(tmp_path: Path, suffix: str) -> None:
    half_red().save(tmp_path / f"a.{suffix}")
    found = decode(tmp_path / f"a.{suffix}")
    assert (found.dtype, found.shape) == (np.uint8, (4, 6, 3))
    assert np.array_equal(found, np.asarray(half_red()))


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_files_are_read(tmp_path: Path, suffix: str) -> None:
    half_red(64, 64).save(tmp_path / f"a.{suffix}", quality=95)
    assert np.abs(decode(tmp_path / f"a.{suffix}")[32, 4].astype(int) - RED).max() < 8


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_photos_are_turned_upright(tmp_path: Path, orientation: int, mode: str) -> None:
    ramp = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2570
    picture = Image.fromarray(ramp) if mode == "I;16" else half_red()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    picture.save(tmp_path / "flat.png")
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    assert np.array_equal(decode(tmp_path / "a.png"), np.rot90(decode(tmp_path / "flat.png"), turns))


def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, :3] = RED
    pixels[0, :, 3] = [0, 128, 255]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    clear, half, solid = decode(tmp_path / "a.png")[0].tolist()
    assert (clear, solid) == (list(WHITE), list(RED))
    assert half == pytest.approx([255, 127, 127], abs=1)


def test_a_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    picture = half_red().quantize(4)
    index = picture.getpixel((0, 0))
    picture.save(tmp_path / "a.png", transparency=index)
    assert decode(tmp_path / "a.png")[0, 0].tolist() == list(WHITE)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (4, 4), "white").convert(mode).save(tmp_path / "a.tif")
    assert np.array_equal(decode(tmp_path / "a.tif"), np.full((4, 4, 3), 255))


def test_a_cameras_preview_is_no_animation(tmp_path: Path) -> None:
    half_red(64, 64).save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[half_red()])
    assert decode(tmp_path / "a.jpg").shape == (64, 64, 3)


def _animation(path: Path) -> None:
    half_red().save(path, save_all=True, append_images=[half_red().rotate(180)])


def _truncated(path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8))
    noise.save(path, format="JPEG" if path.suffix == ".jpg" else None)
    path.write_bytes(path.read_bytes()[:-2000])


def _float(path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(path)


def _gif(path: Path) -> None:
    half_red().save(path, format="GIF")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.png", _animation, "an animation or multi-page file (2 frames)"),
        ("a.webp", _animation, "an animation or multi-page file (2 frames)"),
        ("a.tif", _animation, "an animation or multi-page file (2 frames)"),
        ("a.png", _truncated, "cannot be decoded"),
        ("a.jpg", _truncated, "cannot be decoded"),
        ("a.png", Path.touch, "cannot be decoded"),
        ("a.png", lambda path: path.write_text("<html>"), "cannot be decoded"),
        ("a.png", _gif, "cannot be decoded"),
        ("a.tif", _float, "no known range"),
        ("a.png", Path.mkdir, "cannot be read"),
        ("a.png", lambda _: None, "cannot be read: No such file"),
    ],
)
def test_unusable_files_are_refused_by_name(
    tmp_path: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(MeasureError) as caught:
        decode(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)


def test_a_decompression_bomb_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half_red().save(tmp_path / "a.png")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 23)
    with pytest.raises(MeasureError, match="6 x 4 pixels is too large"):
        decode(tmp_path / "a.png")


def test_pictures_are_listed_by_name_without_subfolders(tmp_path: Path) -> None:
    for name in ["b.PNG", "a.jpeg", "c.txt", ".hidden.png", "d.TIFF"]:
        (tmp_path / name).touch()
    (tmp_path / "sub.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpeg", "b.PNG", "d.TIFF"]


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").touch()
    with pytest.raises(ConfigError, match="no pictures there"):
        list_images(tmp_path)
    with pytest.raises(ConfigError, match="cannot be listed"):
        list_images(tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".HEIC", ".jfif"])
def test_a_picture_that_cannot_be_read_is_not_left_out_unseen(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / f"b{suffix}").touch()
    with pytest.raises(ConfigError, match=rf"b\{suffix}: \{suffix} pictures are not read"):
        list_images(tmp_path)


@pytest.mark.parametrize("target", ["gone.png", "b.png"], ids=["nothing", "itself"])
def test_a_link_to_nothing_is_not_left_out_unseen(tmp_path: Path, target: str) -> None:
    half_red().save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(target)
    with pytest.raises(ConfigError, match=r"b.png: is a link to nothing; put the picture there"):
        list_images(tmp_path)


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"", "it is empty"), (b"<html>", "no PNG, JPEG, WEBP, BMP, TIFF")],
    ids=["empty", "html"],
)
def test_a_file_that_is_not_a_picture_is_named_without_an_address_in_memory(
    tmp_path: Path, data: bytes, why: str
) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(MeasureError, match=f"a.png: cannot be decoded as a picture: {why}$"):
        decode(tmp_path / "a.png")


def test_files_carry_the_digest_of_their_bytes(tmp_path: Path) -> None:
    half_red().save(tmp_path / "a.png")
    found = image_file(tmp_path / "a.png", seed=3)
    assert found.sha256 == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert (found.name, found.seed) == ("a.png", 3)
    assert [image.name for image in image_set("train", tmp_path).images] == ["a.png"]


def test_statistics_stand_for_pictures(tmp_path: Path) -> None:
    (tmp_path / "s.npz").touch()
    found = image_set("references", tmp_path / "s.npz")
    assert (found.images, found.statistics) == ((), image_file(tmp_path / "s.npz"))


@pytest.mark.parametrize("way", ["written over", "renamed over", "relinked"])
def test_a_picture_exchanged_after_hashing_is_not_decoded(tmp_path: Path, way: str) -> None:
    path, other = tmp_path / "a.png", tmp_path / "other" / "b.png"
    other.parent.mkdir()
    half_red(8).save(other)
    if way == "relinked":
        half_red().save(tmp_path / "other" / "a.png")
        path.symlink_to(tmp_path / "other" / "a.png")
    else:
        half_red().save(path)
    found = image_file(path)
    if way == "written over":
        path.write_bytes(other.read_bytes())
    elif way == "renamed over":
        other.rename(path)
    else:
        path.unlink()
        path.symlink_to(other)
    with pytest.raises(MeasureError, match=r"a\.png changed while it was being used"):
        Decoded([found])[0]
    with pytest.raises(MeasureError, match=r"a\.png changed while it was being used"):
        list(Decoded([found]))


def test_a_decoded_sequence_reads_on_demand(tmp_path: Path) -> None:
    for width in (2, 4, 6):
        half_red(width).save(tmp_path / f"{width}.png")
    found = Decoded(image_set("x", tmp_path).images)
    (tmp_path / "2.png").unlink()
    assert len(found) == 3
    assert found[-1].shape == (4, 6, 3)
    assert [pixels.shape[1] for pixels in found[1:]] == [4, 6]
    with pytest.raises(MeasureError):
        found[0]
    assert not found[1].flags.writeable


def test_bytes_of_any_kind_are_decoded_or_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    half_red(32, 32).save(buffer, format="PNG")
    good, rng = buffer.getvalue(), np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(256)
        (tmp_path / "a.png").write_bytes(data)
        try:
            assert decode(tmp_path / "a.png").dtype == np.uint8
        except MeasureError:
            continue


def test_a_flipped_bit_of_a_png_changes_no_pixel_silently(tmp_path: Path) -> None:
    """Without verifying checksums, 9 of these 600 decode to other pixels."""
    whole = (MINIATURE / "references" / "00.png").read_bytes()
    path = tmp_path / "damaged.png"
    for bit in map(int, np.random.default_rng(5).integers(0, 8 * len(whole), 600)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(MeasureError, match=r"damaged\.png: cannot be decoded"):
            decode(path)


def test_a_png_with_right_parts_and_wrong_pixels_is_refused(tmp_path: Path) -> None:
    """Check the pixels' own checksum if the chunk's checksum matches."""
    import zlib

    path = tmp_path / "a.png"
    Image.fromarray(np.full((4, 4, 3), 7, np.uint8)).save(path)
    data = path.read_bytes()
    start = data.index(b"IDAT")
    length = int.from_bytes(data[start - 4 : start], "big")
    content = bytearray(data[start + 4 : start + 4 + length])
    content[-1] ^= 1
    crc = zlib.crc32(b"IDAT" + content).to_bytes(4, "big")
    path.write_bytes(data[: start + 4] + content + crc + data[start + 8 + length :])
    with pytest.raises(MeasureError, match="the checksum of its pixels does not match"):
        decode(path)
