"""`stats` from the shell: shards in, statistics out, and what a second or a killed run does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from s3_world import S3
from shards_made import encoded, write_tar
from world import MINIATURE

from lora_checks.__main__ import main
from lora_checks.core.remote import open_remote
from lora_checks.core.remote.leases import living
from lora_checks.images.decoding import pixels_of
from lora_checks.images.sets import image_set
from lora_checks.metrics.statistics_file import read_statistics
from lora_checks.networks import build

TRUNK = {"net": "squeeze", "file": str(MINIATURE / "evaluators/trunk/trunk.safetensors")}


@pytest.fixture
def shards(tmp_path: Path) -> str:
    for shard in range(2):
        write_tar(tmp_path / f"{shard}.tar", {f"{i}.png": encoded(40 * shard + i) for i in range(40)})
    return str(tmp_path / "{0..1}.tar")


def _command(pictures: str, folder: Path, *more: str) -> list[str]:
    policy = ["--policy", str(MINIATURE), "--network", "trunk", "--store", str(folder / "store")]
    return ["stats", pictures, str(folder / "s.npz"), *policy, *more]


def test_shards_become_statistics(shards: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_command(shards, tmp_path)) == 0
    out, err = capsys.readouterr()
    assert out == f"wrote {tmp_path / 's.npz'}: 80 pictures as the miniature's trunk sees them\n"
    assert "80 of 80 images" in err
    trunk = build("trunk", TRUNK, "cpu")
    rows = trunk.images([pixels_of(image) for image in image_set("x", Path(shards)).images])  # type: ignore[attr-defined]
    found = read_statistics(tmp_path / "s.npz")
    np.testing.assert_allclose(found.mu, rows.mean(axis=0, dtype=float), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.sigma, np.cov(rows.astype(float), rowvar=False), atol=1e-6)
    assert found.n == 80
    assert found.network.startswith("trunk")


def test_the_number_of_workers_changes_no_byte(shards: str, tmp_path: Path) -> None:
    contents = set()
    for workers in ("1", "3"):
        folder = tmp_path / workers
        assert main(_command(shards, folder, "--workers", workers)) == 0
        contents.add((folder / "s.npz").read_bytes())
    assert len(contents) == 1


def test_two_machines_share_a_bucket(
    shards: str, tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, contents = s3.url(monkeypatch), set()
    for machine in ("one", "two"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        assert main([*_command(shards, tmp_path), "--store", url]) == 0
        contents.add((tmp_path / "s.npz").read_bytes())
        (tmp_path / "s.npz").unlink()
        measured = capsys.readouterr().err
        assert ("80 of 80 images" in measured) == (machine == "one")
    assert len(contents) == 1
    assert not list(living(open_remote(f"{url}/cpu")))


def test_a_killed_run_goes_on(shards: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGKILL after the first block: only what was in work is measured again."""
    code = "import sys; from lora_checks.__main__ import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *_command(shards, tmp_path, "--workers", "1")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(tmp_path.glob("store/arrays/*/*/*.npy")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    stored = len(list(tmp_path.glob("store/arrays/*/*/*.npy")))
    assert stored >= 1
    (tmp_path / "s.npz").unlink(missing_ok=True)
    assert main(_command(shards, tmp_path)) == 0
    sizes = [32, 8, 32, 8]
    assert f" of {sum(sizes) - sum(sizes[:stored])} images" in capsys.readouterr().err or stored == len(sizes)
    assert read_statistics(tmp_path / "s.npz").n == 80


def test_copies_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tar = write_tar(tmp_path / "0.tar", {"a.png": encoded(0), "b.png": encoded(1), "c.png": encoded(0)})
    assert main(_command(str(tar), tmp_path)) == 0
    assert f"1 is the same file as another and counted again, as {tar}: c.png and {tar}: a.png" in (
        capsys.readouterr().out
    )


def test_a_damaged_picture_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tar = write_tar(tmp_path / "0.tar", {"a.png": encoded(0), "000123.png": encoded(1)[:90]})
    assert main(_command(str(tar), tmp_path)) != 0
    assert f"{tar}: 000123.png: cannot be decoded" in capsys.readouterr().err
    assert not (tmp_path / "s.npz").exists()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--network", "face"), "the policy has no network 'face'"),
        (("--workers", "0"), "at least one thread is needed"),
        (("--weights", "x.pth"), "leave one out"),
    ],
)
def test_wrong_options_are_told_at_once(
    more: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = write_tar(tmp_path / "0.tar", {"a.png": encoded(0)})
    assert main(_command(str(tar), tmp_path, *more)) != 0
    assert why in capsys.readouterr().err
