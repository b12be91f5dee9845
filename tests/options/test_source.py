"""--lora-source: the images of a source that a package or a conftest.py adds."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_package import install
from world import Gate, Run, made

from lora_checks import run_gate
from lora_checks.images.source import CAVEAT

ROOT = Path(__file__).parents[2]
SOURCE = """
from pathlib import Path

from lora_checks import MadeElsewhere, image_source


@image_source("bucket")
class Bucket(MadeElsewhere):
    check, caveat, generates = "applied", "", True  # not for a package to say

    def pictures(self, lora):
        folder = self.request.here / self.request.argument
        return {path.stem.replace("_", "/"): path for path in folder.glob("*.png")}
"""


@pytest.fixture
def pictures(gate: Gate) -> Path:
    """What the gate has made with the good LoRA, as another program would hold it."""
    folder = gate.folder / "pictures"
    folder.mkdir()
    for path in next(gate.world.store.glob("good-*")).glob("*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    return install(folder, "shades", "0.2", SOURCE, {"lora_checks.image_sources": "bucket = shades:Bucket"})


def gated(gate: Gate, site: Path | None, *more: object) -> Run:
    path = {"PYTHONPATH": f"{site}:{ROOT}"} if site else {}
    return gate("--lora", gate.world.good, "--lora-source", "bucket:pictures", *more, **path)


def test_the_images_of_a_package_are_judged(gate: Gate, pictures: Path, site: Path) -> None:
    before = made(gate.world.store)
    run = gated(gate, site)
    assert run.code == 0, run.out + run.err
    assert made(gate.world.store) == before
    found = run.report["run"]
    assert found["elsewhere"]["images"] == "bucket:pictures (shades 0.2)"
    assert found["elsewhere"]["caveat"] == CAVEAT  # whatever the package says
    assert CAVEAT in run.out
    assert ("good", "images") in run.outcomes
    assert ("good", "applied") not in run.outcomes
    assert "8 pictures of bucket:pictures (shades 0.2), made elsewhere" in run.row("images")["reason"]
    assert ["image source"] in [file["for"] for file in found["code"]]
    images = run.report["loras"][0]["pictures"]
    assert {image["file"] for image in images} == {str(path) for path in pictures.glob("*.png")}
    values = gate("--lora", gate.world.good, "--lora-report", "own").values
    assert all(run.values[pair] == value for pair, value in values.items())


def test_the_images_of_a_conftest_and_from_python(
    gate: Gate, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.conftest(SOURCE)
    run = gated(gate, None, "--rootdir", gate.folder)
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["elsewhere"]["images"] == f"bucket:pictures ({gate.folder / 'conftest.py'})"
    monkeypatch.chdir(gate.folder)
    given = {"policy": gate.world.policy, "store": gate.world.store, "report": "python"}
    result = run_gate(gate.world.good, images=pictures, **given)
    by_hand = {verdict.check: verdict.outcome.value for verdict in result.verdicts}
    assert by_hand == {check: outcome for (_, check), outcome in run.outcomes.items()}


@pytest.mark.parametrize("trouble", ["missing", "surplus", "twice", "damaged"])
def test_pictures_that_are_not_those_of_the_policy_are_an_error(
    gate: Gate, pictures: Path, site: Path, trouble: str
) -> None:
    first, second = sorted(pictures.glob("*.png"))[:2]
    if trouble == "missing":
        first.unlink()
    elif trouble == "surplus":
        (pictures / "red_99.png").write_bytes(first.read_bytes())
    elif trouble == "twice":
        first.write_bytes(second.read_bytes())
    else:
        first.write_bytes(first.read_bytes()[:200])
    run = gated(gate, site)
    assert run.code == 1
    words = {
        "missing": "1 pictures are missing",
        "surplus": "1 pictures are not asked for (red/99)",
        "twice": "are the same picture",
        "damaged": first.name,
    }
    assert run.outcomes["good", "images"] == "ERROR"
    assert words[trouble] in run.row("images")["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lora-source", "buckets"), "there is no image source 'buckets'; known: bucket"),
        (("--lora-source", "bucket", "--lora-images", "."), "leave one of them out"),
        (("--lora-source", "bucket", "--lora-scale", "0.5"), "leave it out with --lora-source"),
    ],
    ids=str,
)
def test_wrong_arguments_end_the_run(
    gate: Gate, site: Path, arguments: tuple[str, ...], message: str
) -> None:
    run = gate("--lora", gate.world.good, *arguments, PYTHONPATH=f"{site}:{ROOT}")
    assert run.code == 4
    assert message in run.err
