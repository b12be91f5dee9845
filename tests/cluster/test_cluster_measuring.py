"""What networks say about images is computed by the workers, and is what this process would compute."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import cluster_world
import pytest
from cluster_world import OfReferences, lora, measuring, opened, values

from lora_checks import metrics
from lora_checks.core.errors import MeasureError, PrerequisiteError
from lora_checks.core.remote.place import Place
from lora_checks.diffusion.cluster.setup import Setup
from lora_checks.gate.run import GateRun
from lora_checks.gate.workers import GateWorker, Identity, Lacking, identity_of, moved
from lora_checks.judge.wanted import Wanted
from lora_checks.networks import features


class Poor(GateWorker):
    """Has no weights of one network, and no package of another."""

    def _network(self, slot):  # type: ignore[no-untyped-def]
        if slot == "arcface":
            raise PrerequisiteError("the weights are not on this node")
        if slot == "trunk":
            raise ModuleNotFoundError("No module named 'trunk'")
        return super()._network(slot)


class Ill(GateWorker):
    def measure(self, *_):  # type: ignore[no-untyped-def]
        raise OSError(5, "the card of this node is ill")


class Mortal(GateWorker):
    """Is killed at its first measurement, unless a file says that another was before."""

    def measure(self, *arguments):  # type: ignore[no-untyped-def]
        import os
        import signal

        marker = self._source.store.root / "mortal"
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().measure(*arguments)


@pytest.fixture(scope="module")
def plain(folder: Path) -> dict[str, Any]:
    """What a single process measures."""
    return values(opened(folder / "plain", folder / "plain" / "store"))


def test_the_workers_measure_what_one_process_would(
    address: str, tmp_path: Path, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with measuring(tmp_path, tmp_path / "store", address) as (run, said):
        monkeypatch.setattr(features, "Decoded", OfReferences)
        assert values(run) == plain
    assert said == []
    assert not list((tmp_path / "store").glob("locks/*"))


@pytest.mark.usefixtures("by_value")
def test_what_a_worker_lacks_this_process_measures_and_says_so_once(
    address: str, tmp_path: Path, plain: dict[str, Any]
) -> None:
    with measuring(tmp_path, tmp_path / "store", address, Poor) as (run, said):
        assert values(run) == plain
    texts = sorted(said)
    assert len(texts) == 2, texts
    assert texts[0].startswith("networks: arcface: ")
    assert texts[0].endswith("is asked here, not by the workers: the weights are not on this node")
    assert texts[1].endswith("is asked here, not by the workers: No module named 'trunk'")


@pytest.mark.usefixtures("by_value")
def test_a_worker_that_is_killed_while_it_measures_changes_nothing(
    address: str, tmp_path: Path, plain: dict[str, Any]
) -> None:
    with measuring(tmp_path, tmp_path / "store", address, Mortal) as (run, said):
        assert values(run) == plain
    assert (tmp_path / "store" / "mortal").exists()
    assert said == []


@pytest.mark.usefixtures("by_value")
def test_after_three_tries_the_row_names_network_images_and_cause(
    address: str, tmp_path: Path, node: str
) -> None:
    with measuring(tmp_path, tmp_path / "store", address, Ill) as (run, _):
        row = next(row for row in run.policy.thresholds if row.metric == "arcface")
        with pytest.raises(MeasureError, match="given up after 3 tries") as raised:
            run.measurement(row, lora(), run.images_of(lora()))
    text = str(raised.value)
    assert "images from '" in text
    assert text.count(f"on {node} (process ") == 3
    assert "the card of this node is ill" in text


def test_images_of_the_store_are_looked_for_in_the_workers_own(tmp_path: Path) -> None:
    picture = cluster_world.picture(tmp_path / "a" / "images" / "x.png")
    elsewhere = cluster_world.picture(tmp_path / "references" / "y.png")
    found = moved((picture, elsewhere), tmp_path / "a", tmp_path / "b")
    assert [one.path for one in found] == [tmp_path / "b" / "images" / "x.png", elsewhere.path]


class Crowded:
    """A device that has no room for networks beside the base: no such device is here."""

    def __init__(self) -> None:
        self.rested = 0

    def rest(self) -> None:
        self.rested += 1


@pytest.fixture
def here(tmp_path: Path) -> tuple[GateRun, GateWorker, Wanted]:
    """A run, a worker in this process, and what the run wants: what ArcFace sees in two references."""
    run = opened(tmp_path, tmp_path / "store")
    setup = Setup(run.policy, Place(run.store.root), "cpu", "float32", 2, run.source.memory)  # type: ignore[attr-defined]
    images = run.measurer.pictures("references").images[:2]
    return run, GateWorker(setup), Wanted("arcface", "images", images)


def asked(run: GateRun, worker: GateWorker, wanted: Wanted, **changed: object) -> Lacking | None:
    network = run.measurer.network(metrics.get("arcface"))
    assert network is not None
    own = dataclasses.asdict(identity_of(network)) | changed
    return worker.measure(wanted, Identity(**own), run.store.root, [0, 1])


def test_a_worker_makes_room_for_the_networks_and_leaves_what_is_stored(
    here: tuple[GateRun, GateWorker, Wanted],
) -> None:
    run, worker, wanted = here
    studio = Crowded()
    vars(worker._source)["studio"] = studio
    assert asked(run, worker, wanted) is None
    paths = wanted.rows(run.measurer.network(metrics.get("arcface")), run.store).paths  # type: ignore[arg-type]
    stamps = [path.stat().st_mtime_ns for path in paths]
    assert studio.rested == 1
    assert asked(run, worker, wanted) is None
    assert [path.stat().st_mtime_ns for path in paths] == stamps


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"network": "the face pack of another team"}, "it has other weights or settings: "),
        ({"device": "cuda"}, "it computes on cpu, not cuda"),
        ({"packages": ("torch 1.0",)}, "it has other packages: "),
    ],
)
def test_a_worker_whose_network_is_another_computes_nothing(
    here: tuple[GateRun, GateWorker, Wanted], changed: dict[str, object], says: str
) -> None:
    found = asked(*here, **changed)
    assert found is not None
    assert found.why.startswith(says)
    assert not list(here[0].store.root.glob("arrays/*/*/*"))


def test_a_worker_without_the_pictures_computes_nothing(here: tuple[GateRun, GateWorker, Wanted]) -> None:
    run, worker, wanted = here
    gone = cluster_world.picture(Path("/nowhere/x.png"))
    assert asked(run, worker, dataclasses.replace(wanted, x=(*wanted.x, gone))) == Lacking(
        "there is no /nowhere/x.png"
    )


@pytest.fixture
def by_value() -> None:
    """Let workers have the classes of this file, which they cannot import."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cloudpickle.register_pickle_by_value(cluster_world)
