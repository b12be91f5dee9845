"""``store size`` and ``store gc`` on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from s3_world import S3
from store_contents import BAD, GOOD, OLD, paint, spec

from lora_checks.__main__ import main
from lora_checks.core.errors import StoreError
from lora_checks.core.remote import Remote, open_remote
from lora_checks.core.remote.leases import DOOR, FOLDER, Leases
from lora_checks.core.remote.place import Place, place_of
from lora_checks.core.store import Store, to_npy
from lora_checks.images import png


@pytest.fixture(params=["s3", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return s3.url(monkeypatch) if request.param == "s3" else f"file://{tmp_path}/nfs"


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """What another machine stored; this one has nothing in its cache."""
    store = Place(tmp_path / "other", url, people=tmp_path / "people").on("cpu").open()
    store.enter()
    for one in (spec(GOOD, 1), spec(GOOD, 2), spec(GOOD, 3, OLD), spec(BAD, 4), spec(None, 5)):
        paint(store, one)
    store.put(store.array("clip/1", "e" * 64), to_npy(np.ones(3, np.float32)))  # of a reference
    store.leave()
    return store


@pytest.fixture
def remote(store: Store) -> Remote:
    return open_remote(store.url)


def seeds(remote: Remote) -> set[int]:
    """Of the images that are there."""
    return {
        png.known(Path(entry.name), remote.get(entry.name))[1]["seed"] for entry in remote.entries("images")
    }


def test_size_of_the_listing_alone(remote: Remote, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "size", url]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"{remote.url}: {sum(e.size for e in remote.entries()) / 1000:.1f} kB"
    assert "images (the originals), 5 files" in out
    assert "outputs of networks, 6 files" in out
    assert "9c1e04" not in out
    assert "--by-lora reads every image" in out


@pytest.mark.usefixtures("store")
def test_size_by_lora(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "size", url, "--by-lora"]) == 0
    out = capsys.readouterr().out
    assert "9c1e04, 3 images" in out
    assert "base, 1 image" in out
    assert "can no longer be used: `store gc` lists the files" in out
    assert not list(place_of(url, Path()).root.rglob("*.png"))  # read, and not kept


def test_gc_shows_first_and_then_removes_what_no_run_can_use(
    remote: Remote, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "gc", url]) == 0
    assert "nothing was removed" in capsys.readouterr().out
    assert seeds(remote) == {1, 2, 3, 4, 5}
    assert main(["store", "gc", url, "--yes"]) == 0
    assert "removed 2 files" in capsys.readouterr().out
    assert seeds(remote) == {1, 2, 4, 5}
    assert not list(remote.entries(FOLDER))
    assert main(["store", "gc", url, "--yes"]) == 0
    assert "removed 0 files, 0 B" in capsys.readouterr().out


def test_gc_of_a_lora_takes_its_arrays_and_the_cached_copies(remote: Remote, url: str) -> None:
    cache = place_of(url, Path()).on("cpu").root
    for entry in list(remote.entries("images")):
        (cache / entry.name).parent.mkdir(parents=True, exist_ok=True)
        (cache / entry.name).write_bytes(remote.get(entry.name))
    assert main(["store", "gc", url, "--lora", GOOD[:6], "--yes"]) == 0
    assert seeds(remote) == {4, 5}
    assert len(list(remote.entries("arrays"))) == 3  # of the other LoRA, of the base and of the reference
    assert len(list(cache.rglob("*.png"))) == 2


def test_gc_removes_a_damaged_entry(remote: Remote, url: str) -> None:
    name = next(entry.name for entry in remote.entries("images"))
    remote.put(name, remote.get(name)[:50], replace=True)
    assert main(["store", "gc", url, "--yes"]) == 0
    assert not remote.has(name)


def test_gc_waits_for_a_run_and_keeps_runs_out(
    store: Store, remote: Remote, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.enter()
    assert main(["store", "gc", url, "--lora", GOOD[:6], "--yes"]) == 2
    assert "is being used by a run" in capsys.readouterr().err
    store.leave()
    Leases(remote).take(DOOR)  # as if it were at work
    assert main(["store", "gc", url, "--yes"]) == 2
    with pytest.raises(StoreError, match="`store gc` is at work on"):
        store.enter()
    assert seeds(remote) == {1, 2, 3, 4, 5}


def test_the_lease_of_a_killed_run_goes_when_it_has_ended(remote: Remote, url: str) -> None:
    remote.put(f"{FOLDER}/run-of-yesterday", json.dumps({"owner": "x", "until": 1.0}).encode())
    assert len(list(remote.entries(FOLDER))) == 1
    assert main(["store", "gc", url, "--yes"]) == 0
    assert not list(remote.entries(FOLDER))


def test_an_empty_or_a_wrong_place_is_a_sentence(
    url: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "size", f"{url}-nothing"]) == 2
    assert "is empty; name the --lora-store of a run" in capsys.readouterr().err
    assert main(["store", "size", store.url]) == 2  # a part of it: "images" would be a kind of device
