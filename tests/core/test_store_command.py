"""``store size`` and ``store gc``: what a store holds, and what goes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from store_contents import BAD, GOOD, NOW, OLD, paint, spec

from lora_checks.__main__ import main
from lora_checks.core.store import Store, to_npy
from lora_checks.images import gallery, made, png
from lora_checks.images.png import recipe


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for one in (spec(GOOD, 1), spec(GOOD, 2), spec(GOOD, 3, OLD), spec(BAD, 4), spec(None, 5)):
        paint(store, one)
    folder = store.root / gallery.folder_name("good", GOOD)
    folder.mkdir()
    (folder / gallery.RECORD).write_text(json.dumps({"red/1": recipe(spec(GOOD, 1))}))
    (folder / "red_1.png").write_bytes(b"copy")
    store.put(store.array("clip/1", "e" * 64), to_npy(np.ones(3, np.float32)))  # of a reference
    return store


def images(store: Store) -> set[int]:
    """Seeds of the images that are there."""
    return {png.read(path)[1]["seed"] for path in (store.root / "images").rglob("*.png")}


def test_size_by_kind_and_by_lora(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "size", str(store.root)]) == 0
    out = capsys.readouterr().out
    for words in (
        "images (the originals), 5 files",
        "outputs of networks, 6 files",
        "folders by LoRA (copies), 2 files",
        "good 9c1e04, 3 images",
        "b0b0b0, 1 image",
        "base, 1 image",
        "not of a LoRA",
        "can no longer be used: `store gc` lists the files",
    ):
        assert words in out
    total = sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file())
    assert out.splitlines()[0] == f"{store.root}: {total / 1000:.1f} kB"


def test_size_writes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "__init__", None)  # which finds out whether the folder can be written
    assert main(["store", "size", str(store.root)]) == 0


def test_gc_shows_first_and_changes_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    assert main(["store", "gc", str(store.root)]) == 0
    out = capsys.readouterr().out
    assert "images (the originals), 1 file (good 9c1e04, made with diffusers 0.1.0)" in out
    assert "2 files, " in out
    assert "nothing was removed" in out
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()} == before


def test_gc_of_what_no_run_can_use(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = store.image(spec(BAD, 4).digest)
    damaged.write_bytes(damaged.read_bytes()[:50])
    (store.root / "images" / ".x.part").write_bytes(b"")
    old = store.root / "arrays" / "ab" / f"{'ab' * 32}.npy"
    store.put(old, b"of an earlier version")
    assert main(["store", "gc", str(store.root), "--unmatched", "--yes"]) == 0
    assert "removed 5 files" in capsys.readouterr().out
    assert images(store) == {1, 2, 5}
    assert not old.exists()
    assert main(["store", "gc", str(store.root), "--yes"]) == 0
    assert "removed 0 files, 0 B" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["good", "9c1e04", GOOD])
def test_gc_of_a_lora(store: Store, name: str) -> None:
    assert main(["store", "gc", str(store.root), "--lora", name, "--yes"]) == 0
    assert images(store) == {4, 5}
    assert not list(store.root.glob("good-*"))
    arrays = list((store.root / "arrays").rglob("*.npy"))
    assert len(arrays) == 3  # of the other LoRA, of the base and of the reference
    assert (store.root / made.FILE).is_file()


def test_gc_by_age_and_lora(store: Store) -> None:
    for path in (store.root / "images").rglob("*.png"):
        if png.read(path)[1]["seed"] in (1, 4):
            os.utime(path, (time.time() - 10 * 86400,) * 2)
    assert main(["store", "gc", str(store.root), "--older-than", "9d", "--lora", "good", "--yes"]) == 0
    assert images(store) == {2, 3, 4, 5}
    assert main(["store", "gc", str(store.root), "--older-than", "2w", "--yes"]) == 0
    assert images(store) == {2, 3, 4, 5}
    assert main(["store", "gc", str(store.root), "--older-than", "48h", "--yes"]) == 0
    assert images(store) == {2, 3, 5}


def test_gc_waits_for_no_run_and_disturbs_none(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.locks.enter()
    assert main(["store", "gc", str(store.root), "--lora", "good", "--yes"]) == 2
    assert "is being used by a run" in capsys.readouterr().err
    assert images(store) == {1, 2, 3, 4, 5}
    store.locks.leave()
    assert main(["store", "gc", str(store.root), "--lora", "good", "--yes"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lora", "none"], "the store has no files of 'none'; it has files of b0b0b0, base, good 9c1e04"),
        (["--older-than", "soon"], "'soon' is not an age; write 12h, 30d or 8w"),
    ],
)
def test_what_is_not_understood_removes_nothing(
    store: Store, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["store", "gc", str(store.root), *arguments, "--yes"])
    except SystemExit as ended:
        code = ended.code  # type: ignore[assignment]
    assert code == 2
    assert words in capsys.readouterr().err
    assert images(store) == {1, 2, 3, 4, 5}


def test_no_store_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "size", str(tmp_path / "none")]) == 2
    assert "is not a folder; name the --lora-store of a run" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_an_upgrade_of_a_library_is_told_when_it_makes_images_anew(store: Store) -> None:
    wanted = [spec(GOOD, 1), spec(GOOD, 3), spec(GOOD, 6)]
    found = made.of_other_versions(store, wanted)
    assert found == {wanted[1].digest: OLD}
    sentence = made.upgrade(found, NOW)
    assert f"the store has 1 image of this run made with diffusers 0.1.0; with {NOW[0]}" in sentence
    start = made.size(store)
    made.note(store, wanted[1], {"batch": 1}, OLD)
    assert made.summary(store, start)["made_before_with"] == {"diffusers 0.1.0": 1}
    assert made.upgrade({}, NOW) == ""


def test_images_of_another_run_in_the_same_store_are_not_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = made.size(store)
    paint(store, spec(GOOD, 7))
    monkeypatch.setenv(made.RUN, "another")
    paint(store, spec(GOOD, 8), {"batch": 8})
    monkeypatch.delenv(made.RUN)
    assert made.summary(store, start)["images"] == 0
    monkeypatch.setenv(made.RUN, "another")
    assert made.summary(store, start)["batch_sizes"] == [8]
