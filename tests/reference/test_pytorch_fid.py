"""Inception features, Frechet distance and statistics files against pytorch-fid on the same weights."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_inception

from lora_checks.core.store import Store
from lora_checks.images.sets import image_set
from lora_checks.metrics.distribution import fid, frechet
from lora_checks.metrics.statistics_file import read_statistics, write_statistics
from lora_checks.networks.inception import Inception


@pytest.fixture(scope="module")
def folder(photos: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos")
    for i, pixels in enumerate(photos):
        Image.fromarray(pixels).save(path / f"{i}.png")
    return path


@pytest.fixture(scope="module")
def theirs(inception_file: Path):
    """pytorch-fid with our file in place of its download."""
    import torch

    state = torch.load(inception_file)
    with patch.object(pytorch_inception, "load_state_dict_from_url", lambda *_, **__: state):
        yield


@pytest.mark.usefixtures("theirs")
def test_features(folder: Path, photos: list[np.ndarray], inception: Inception) -> None:
    """To 1e-4 of the largest feature; what differs is the order of float32 sums."""
    network = pytorch_inception.InceptionV3([3])
    files = sorted(folder.glob("*.png"))
    expected = fid_score.get_activations(files, network, batch_size=3, num_workers=0)
    assert np.abs(inception.images(photos) - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(("n", "m"), [(20, 25), (20, 200), (200, 20), (150, 200)])
def test_frechet_distance(n: int, m: int) -> None:
    """To 1e-4: scipy's square root of a singular matrix is itself 1e-5 low."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(64, 64)) / 8
    x, y = rng.normal(size=(n, 64)) @ mix, 0.3 + rng.normal(size=(m, 64)) @ mix.T
    moments = [moment for z in (x, y) for moment in (z.mean(0), np.cov(z, rowvar=False))]
    assert frechet(x, y) == pytest.approx(fid_score.calculate_frechet_distance(*moments), rel=1e-4)


@pytest.mark.usefixtures("theirs")
def test_statistics_files_are_read_by_each_other(
    folder: Path, photos: list[np.ndarray], inception: Inception, tmp_path: Path
) -> None:
    """The distance is the same, to 1e-4, whichever program wrote the references' statistics."""
    fid_score.save_fid_stats([str(folder), str(tmp_path / "theirs.npz")], 3, "cpu", 2048, num_workers=0)
    ours = image_set("references", folder).images
    write_statistics(ours, tmp_path / "ours.npz", inception, Store(tmp_path / "store"))
    shifted = inception.images([pixels[:, ::-1] // 2 for pixels in photos])
    against_theirs = fid(shifted, read_statistics(tmp_path / "theirs.npz"))
    against_ours = fid(shifted, read_statistics(tmp_path / "ours.npz", inception.id))
    assert against_theirs == pytest.approx(against_ours, rel=1e-4)
    assert against_ours == pytest.approx(fid(shifted, inception.images(photos)), rel=1e-6)
    mu, sigma = fid_score.compute_statistics_of_path(str(tmp_path / "ours.npz"), None, 3, 2048, "cpu", 0)
    same = read_statistics(tmp_path / "theirs.npz")
    scale = np.abs(same.sigma).max()
    np.testing.assert_allclose(mu, same.mu, atol=1e-4 * np.abs(same.mu).max())
    np.testing.assert_allclose(sigma, same.sigma, atol=1e-4 * scale)
