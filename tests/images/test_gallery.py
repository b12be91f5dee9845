"""The folder that a person opens shows what was judged, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lora_checks.core.records import ImageFile, ImageSet
from lora_checks.core.store import Store
from lora_checks.images import gallery


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def image(store: Store, name: str, content: bytes) -> ImageFile:
    path = store.image(content.hex() * 32)
    store.put(path, content)
    return ImageFile(path, content.hex(), name)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_pictures_by_prompt_and_seed_with_their_record(store: Store) -> None:
    folder = store.root / "good-9c1e04"
    shown = ImageSet("candidate", (image(store, "red/1", b"a"), image(store, "red/2", b"b")))
    gallery.show(folder, shown, {"red/1": {"seed": 5, "prompt": "größer"}})
    assert pictures(folder) == {"red_1.png": b"a", "red_2.png": b"b"}
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["red/1"]["prompt"] == "größer"
    assert not (folder / "red_1.png").samefile(shown.images[0].path)


def test_an_edited_picture_and_a_link_are_replaced_by_copies(store: Store) -> None:
    folder = store.root / "good-9c1e04"
    red, blue = image(store, "red/1", b"a"), image(store, "blue/1", b"b")
    shown = ImageSet("candidate", (red, blue))
    gallery.show(folder, shown, {})
    (folder / "red_1.png").write_bytes(b"x")
    (folder / "blue_1.png").unlink()
    os.link(blue.path, folder / "blue_1.png")
    gallery.show(folder, shown, {})
    assert pictures(folder) == {"red_1.png": b"a", "blue_1.png": b"b"}
    assert red.path.read_bytes() == b"a"
    assert not (folder / "blue_1.png").samefile(blue.path)


def test_what_is_not_judged_any_more_goes_away(store: Store) -> None:
    folder = store.root / "good-9c1e04"
    old = ImageSet("candidate", (image(store, "red/1", b"a"), image(store, "red/2", b"b")))
    gallery.show(folder, old, {"old": 1})
    gallery.show(folder, ImageSet("candidate", (image(store, "red/1", b"c"),)), {"new": 1})
    assert pictures(folder) == {"red_1.png": b"c"}
    assert json.loads((folder / "run.json").read_text()) == {"new": 1}
    assert old.images[1].path.read_bytes() == b"b"  # the store keeps it


def test_a_second_look_changes_nothing(store: Store) -> None:
    folder = store.root / "good-9c1e04"
    shown = ImageSet("candidate", (image(store, "red/1", b"a"),))
    gallery.show(folder, shown, {"x": 1})
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    gallery.show(folder, shown, {"x": 1})
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "folder"),
    [("overfit", "overfit-9c1e04"), ("../über/v 2", "..-ber-v-2-9c1e04"), ("a\x1b[31m", "a-31m-9c1e04")],
)
def test_folder_names_are_tame(name: str, folder: str) -> None:
    assert gallery.folder_name(name, "9c1e04" + "0" * 58) == folder


def test_shown_returns_the_shorter_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert gallery.shown(tmp_path / "store" / "a") == str(Path("store", "a"))
    assert gallery.shown(Path("/x")) == "/x"
