"""LPIPS and a trunk of one's own: pairs, sizes, and work that is not done twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lora_checks.core.errors import MeasureError, PrerequisiteError
from lora_checks.core.records import ImageFile
from lora_checks.images import decoded
from lora_checks.images.decoding import Pixels, pixels_of
from lora_checks.images.sets import image_set
from lora_checks.networks import PairExtractor, kept, pairs
from lora_checks.networks.lpips import Lpips
from lora_checks.networks.trunk import Trunk


@pytest.fixture
def trunk(trunk_file: Path) -> Trunk:
    return Trunk({"file": str(trunk_file), "name": "the test's trunk"}, "cpu")


class Counted(Sequence[Any]):
    """Pictures that count how often each is decoded."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images
        self.decoded = [0] * len(images)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        self.decoded[index] += 1
        return self.images[index]


@pytest.fixture
def passes(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the pictures that go through the network."""
    made: list[int] = []
    run = trunk._layers
    monkeypatch.setattr(trunk, "_layers", lambda image: (made.append(1), run(image))[1])
    return made


def test_is_both_kinds_of_extractor_and_named_as_told(trunk: Trunk) -> None:
    assert isinstance(trunk, PairExtractor)
    assert trunk.label == "the test's trunk"
    assert "lpips" not in trunk.id


def test_each_image_goes_through_the_network_once(
    trunk: Trunk, photos: list[np.ndarray], passes: list[int]
) -> None:
    x, y = Counted(photos), Counted(photos[:4])
    distances = trunk.distances(x, y)
    assert distances.shape == (6, 4)
    assert len(passes) == 6  # four of them are on both sides
    assert x.decoded == [1] * 6
    assert y.decoded == [1] * 4
    again = trunk.distances(photos[:1], y)
    assert len(passes) == 6
    np.testing.assert_array_equal(again[0], distances[0])


def test_a_picture_that_is_in_other_pairs_later_is_not_looked_at_again(
    trunk: Trunk, photos: list[np.ndarray], passes: list[int]
) -> None:
    """References, training pictures, each other, and features: one pass for each picture."""
    trunk.distances(photos[:3], photos[3:5])
    trunk.distances(photos[:3], photos[5:])
    trunk.distances(photos[:3], photos[:3])
    trunk.paired(photos[:3], photos[3:])
    trunk.images(photos)
    assert len(passes) == 6


def test_references_are_decoded_once_for_all_calls(
    trunk: Trunk, photos: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where no pixels are kept: a file's digest says which vector is its own."""
    asked: list[str] = []

    def decode(image: ImageFile) -> Pixels:
        asked.append(image.name)
        return pixels_of(image)

    monkeypatch.setattr(decoded, "_RECENT", decoded.Recent(decode, most=0))
    monkeypatch.setattr(decoded, "AHEAD", 0)
    for i, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
    images = image_set("x", tmp_path).images
    references = decoded.Decoded(images[3:])
    rows = [trunk.distances(decoded.Decoded(images[i : i + 1]), references) for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(rows), trunk.distances(photos[:3], photos[3:]))
    assert sorted(asked) == [image.name for image in images]


def test_references_are_multiplied_with_each_other_once(
    trunk: Trunk, photos: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
    images = image_set("x", tmp_path).images
    multiplied: list[tuple[int, int]] = []
    run = pairs.products
    monkeypatch.setattr(
        pairs, "products", lambda x, y, device: (multiplied.append((len(x), len(y))), run(x, y, device))[1]
    )
    rows = [trunk.distances(decoded.Decoded(images[i : i + 2]), decoded.Decoded(images)) for i in (0, 2, 4)]
    assert [shape for shape in multiplied if shape != (1, 1)] == [(2, 6), (2, 4), (2, 2)]
    plain = trunk.distances(photos, photos)
    np.testing.assert_array_equal(np.concatenate(rows), plain)
    np.testing.assert_array_equal(plain, plain.T)


def test_vectors_fill_an_eighth_of_the_free_memory_within_bounds() -> None:
    assert kept.held_bytes(None) == kept.held_bytes(1 << 30) == 512 << 20
    assert kept.held_bytes(8 << 30) == 1 << 30
    assert kept.held_bytes(64 << 30) == 2 << 30


@pytest.mark.parametrize(("free", "pieces"), [(0, 7), (4 * 8 * 5 * 40_000, 3), (1 << 30, 1)])
def test_pieces_of_a_device_fit_into_its_free_memory(
    free: int, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of it holds five vectors in double precision; a piece is never smaller than on a CPU."""
    import torch

    generator = torch.Generator().manual_seed(0)
    vectors = list(torch.randn(5, 100_000, generator=generator))
    piece = pairs.piece_of(5, 100_000, free)
    assert -(-100_000 // piece) == pieces
    monkeypatch.setattr(pairs, "CHUNK", piece)
    expected = torch.stack(vectors[:2]).double() @ torch.stack(vectors[2:]).double().T
    torch.testing.assert_close(pairs.products(vectors[:2], vectors[2:], "cpu"), expected, rtol=0, atol=1e-10)


def test_vectors_on_both_sides_are_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of references and references; the products are those of two sides that share nothing."""
    import torch

    y = list(torch.randn(6, 40_000, generator=torch.Generator().manual_seed(0)))
    copies = [vector.clone() for vector in y]
    copied: list[int] = []
    copy = torch.Tensor.copy_
    monkeypatch.setattr(torch.Tensor, "copy_", lambda to, of: copied.append(len(of)) or copy(to, of))
    for chosen, converted in (([2, 3, 4], 6), ([4, 5], 6), ([0, 2], 8)):
        copied.clear()
        found = pairs.products([y[i] for i in chosen], y, "cpu")
        assert sum(copied) == converted * 40_000
        assert torch.equal(found, pairs.products([copies[i] for i in chosen], y, "cpu"))


def test_the_distance_of_a_pair_is_summed_in_double_precision() -> None:
    import torch

    x, y = torch.randn(2, 3 * pairs.DIFFERENCES + 5, generator=torch.Generator().manual_seed(0))
    expected = (x - y).square().double().sum()
    assert pairs.squared_distance(x, y) == pytest.approx(float(expected), rel=1e-14)
    assert pairs.squared_distance(x, x.clone()) == 0


def test_results_do_not_depend_on_how_much_is_held(
    trunk: Trunk, photos: list[np.ndarray], passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors beyond the memory limit go to files; those beyond the file limit are computed again."""
    plenty = trunk.distances(photos, photos[:4])
    features = trunk.images(photos)
    one = trunk._made(photos[0]).numel() * 4
    monkeypatch.setattr(kept, "held_bytes", lambda _: int(1.5 * one))
    monkeypatch.setattr(pairs, "BATCH_BYTES", int(2.5 * one))
    for spilled, least in ((8, 6), (0, 10)):
        trunk._kept = kept.Kept()
        passes.clear()
        monkeypatch.setattr(kept, "SPILLED_BYTES", spilled * one)
        np.testing.assert_allclose(trunk.distances(photos, photos[:4]), plenty, atol=1e-7)
        np.testing.assert_array_equal(trunk.images(photos), features)
        assert len(trunk._kept.held) == 1
        assert len(passes) == 6 if spilled else len(passes) >= least


def test_the_oldest_files_make_room(
    trunk: Trunk, photos: list[np.ndarray], passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trunk._made(photos[0]).numel() * 4
    trunk._kept = kept.Kept()
    monkeypatch.setattr(kept, "held_bytes", lambda _: one)
    monkeypatch.setattr(kept, "SPILLED_BYTES", 2 * one)
    trunk.images(photos)
    folder = Path(trunk._kept._folder.name)
    assert len(list(folder.iterdir())) == 2
    passes.clear()
    trunk.images(photos[3:])
    assert len(passes) == 0
    trunk.images(photos[:1])
    assert len(passes) == 1
    trunk._kept._folder.cleanup()


def test_references_are_scaled_to_the_size_of_the_image(trunk: Trunk, photos: list[np.ndarray]) -> None:
    wide = np.asarray(Image.fromarray(photos[1]).resize((128, 64)))
    back = np.asarray(Image.fromarray(wide).resize((96, 96), Image.Resampling.BICUBIC))
    x = [photos[0], photos[0][:64, :64], photos[2]]
    found = trunk.distances(x, [photos[3], wide])
    assert found[0, 1] == pytest.approx(trunk.paired([photos[0]], [back])[0], rel=1e-6)
    assert found[2, 1] == pytest.approx(trunk.paired([photos[2]], [wide])[0], rel=1e-6)
    assert found[1, 0] == pytest.approx(trunk.paired([x[1]], [photos[3]])[0], rel=1e-6)


def test_a_mirrored_matrix_is_symmetric_with_zeros(trunk: Trunk, photos: list[np.ndarray]) -> None:
    found = trunk.distances(photos, photos)
    np.testing.assert_allclose(found, found.T, rtol=1e-6)
    np.testing.assert_array_equal(np.diagonal(found), 0)


def test_nothing_against_nothing(trunk: Trunk, photos: list[np.ndarray]) -> None:
    assert trunk.distances(photos, []).shape == (6, 0)
    assert trunk.distances([], photos).shape == (0, 6)
    assert trunk.paired([], []).shape == (0,)


def test_too_small_an_image_is_refused(trunk: Trunk, photos: list[np.ndarray]) -> None:
    with pytest.raises(MeasureError, match="40 x 31 pixels is too small; use at least 32"):
        trunk.distances([photos[0][:31, :40]], photos)


def test_pairs_need_equal_numbers(trunk: Trunk, photos: list[np.ndarray]) -> None:
    with pytest.raises(MeasureError, match="not 6 and 5"):
        trunk.paired(photos, photos[:5])


def test_features_of_the_trunk(trunk: Trunk, photos: list[np.ndarray]) -> None:
    features = trunk.images([photos[0], photos[1][:50]])
    assert features.shape == (2, 512)
    assert features.dtype == np.float32


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_weights_of_another_network_are_named(
    net: str, photos: list[np.ndarray], trunk_file: Path, tmp_path: Path
) -> None:
    import torch

    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "x.pth")
    for path in (tmp_path / "x.pth", trunk_file):
        with pytest.raises(PrerequisiteError, match=f"does not hold torchvision's {net} weights"):
            Lpips({"net": net, "trunk_file": str(path)}, "cpu").paired(photos[:1], photos[:1])


def test_a_trunk_of_another_architecture_is_named(trunk_file: Path, photos: list[np.ndarray]) -> None:
    with pytest.raises(PrerequisiteError, match=r"is not a state dict of lpips\.LPIPS\(net='alex'\)"):
        Trunk({"net": "alex", "file": str(trunk_file)}, "cpu").images(photos)


def test_negative_weights_are_refused(trunk_file: Path, photos: list[np.ndarray], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = {name: -tensor if "lin" in name else tensor for name, tensor in load_file(trunk_file).items()}
    save_file(state, tmp_path / "t.safetensors")
    with pytest.raises(PrerequisiteError, match="never negative"):
        Trunk({"file": str(tmp_path / "t.safetensors")}, "cpu").distances(photos[:1], photos[:1])
