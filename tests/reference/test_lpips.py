"""LPIPS against the ``lpips`` package: same trunk, the package's own learned layers."""

from __future__ import annotations

from pathlib import Path

import lpips
import numpy as np
import pytest
import torch

from lora_checks.networks.lpips import TRUNKS, Lpips
from lora_checks.networks.trunk import Trunk


def pair(module: lpips.LPIPS, x: np.ndarray, y: np.ndarray) -> float:
    """As its README says: (1, 3, H, W) in [-1, 1]."""
    a, b = (lpips.im2tensor(image) for image in (x, y))
    with torch.inference_mode():
        return float(module(a, b))


def every_pair(module: lpips.LPIPS, xs: list[np.ndarray], ys: list[np.ndarray]) -> np.ndarray:
    return np.array([[pair(module, x, y) for y in ys] for x in xs])


@pytest.fixture
def like(photos: list[np.ndarray]) -> list[np.ndarray]:
    """Pictures next to the first photos: equal, one value off, a little noisy, and another."""
    nudged = photos[0].copy()
    nudged[40, 40] ^= 1
    noisy = np.clip(photos[1] + np.random.default_rng(0).normal(0, 3, photos[1].shape), 0, 255)
    return [photos[0], nudged, noisy.astype(np.uint8), photos[5]]


def check(ours: Lpips, theirs: lpips.LPIPS, photos: list[np.ndarray], like: list[np.ndarray]) -> None:
    expected = every_pair(theirs, photos[:3], like)
    np.testing.assert_allclose(ours.distances(photos[:3], like), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.paired(photos[:3], like[:3]), np.diagonal(expected), rtol=0, atol=1e-6)
    assert ours.distances(photos[:1], like[:1]).item() == 0


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_squeeze(
    photos: list[np.ndarray],
    like: list[np.ndarray],
    squeeze_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To 1e-6, near zero too; both sides find the trunk in torch.hub's cache."""
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / TRUNKS["squeeze"]).symlink_to(squeeze_file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    theirs = lpips.LPIPS(net="squeeze", version="0.1", verbose=False)
    check(Lpips({"net": "squeeze", "version": "0.1"}, "cpu"), theirs, photos, like)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_alex(
    photos: list[np.ndarray], like: list[np.ndarray], large_photos: list[np.ndarray], alex_file: Path
) -> None:
    """To 1e-6, near zero too, on small pictures and on large ones."""
    theirs = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    state = torch.load(alex_file)
    for part in (getattr(theirs.net, f"slice{i}") for i in range(1, 6)):
        for number, layer in part.named_children():
            layer.load_state_dict({k: state[f"features.{number}.{k}"] for k in layer.state_dict()})
    ours = Lpips({"net": "alex", "trunk_file": str(alex_file)}, "cpu")
    check(ours, theirs, photos, like)
    nudged = large_photos[0].copy()
    nudged[100:110, 100:110] //= 2
    x, y = [large_photos[0]] * 3, [large_photos[0], nudged, large_photos[1]]
    expected = [pair(theirs, *images) for images in zip(x, y, strict=True)]
    np.testing.assert_allclose(ours.paired(x, y), expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_vgg(photos: list[np.ndarray], like: list[np.ndarray], tmp_path: Path) -> None:
    """To 1e-5 of the distance: its layers are deeper and their sums longer."""
    theirs = lpips.LPIPS(net="vgg", version="0.1", pnet_rand=True, verbose=False)
    state = {f"features.{name.partition('.')[2]}": value for name, value in theirs.net.state_dict().items()}
    torch.save(state, tmp_path / "vgg.pth")
    ours = Lpips({"net": "vgg", "trunk_file": str(tmp_path / "vgg.pth")}, "cpu")
    expected = every_pair(theirs, photos[:2], like)
    np.testing.assert_allclose(ours.distances(photos[:2], like), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.paired(photos[:2], like[:2]), np.diagonal(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_trunk(trunk_file: Path, photos: list[np.ndarray], like: list[np.ndarray]) -> None:
    """A trunk of one's own runs through the same code; to 1e-6 of a typical distance."""
    from safetensors.torch import load_file

    theirs = lpips.LPIPS(net="squeeze", pretrained=False, pnet_rand=True, verbose=False)
    theirs.load_state_dict(load_file(trunk_file))
    expected = every_pair(theirs, photos[:2], like)
    ours = Trunk({"net": "squeeze", "file": str(trunk_file)}, "cpu")
    np.testing.assert_allclose(ours.distances(photos[:2], like), expected, rtol=1e-6, atol=1e-6)
    with torch.inference_mode():
        last = theirs.net(theirs.scaling_layer(lpips.im2tensor(photos[0]))).relu7.mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(ours.images(photos[:1]), last, rtol=1e-5, atol=1e-6)
