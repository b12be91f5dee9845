"""The pictures in the page and in full size beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from page_fixtures import Parts
from page_world import page_document, photo

from lora_checks.core.errors import StoreError
from lora_checks.report import html
from lora_checks.report.html import thumbnails


def test_each_image_has_its_base_its_nearest_reference_and_its_values(parts: Parts) -> None:
    data = parts.data("data")
    thumbs = parts.data("thumbnails")
    image = data["loras"][0]["images"][0]
    assert thumbs[image["picture"]].startswith("data:image/webp;base64,")
    assert thumbs[image["base"]].startswith("data:image/webp;base64,")
    check = [found["name"] for found in data["checks"]].index("likeness")
    number, name = image["nearest"][check]
    assert data["names"][number] == name
    assert name.startswith("references/")
    assert len(image["values"]) == len(data["checks"]) == 3


def test_pictures_lie_beside_the_page_in_full_size(
    parts: Parts, page: Path, document: dict[str, Any]
) -> None:
    data = parts.data("data")
    for own, image in zip(document["loras"][0]["pictures"], data["loras"][0]["images"], strict=True):
        beside = page.parent / data["links"][image["picture"]]
        assert hashlib.sha256(beside.read_bytes()).hexdigest() == own["sha256"]


def test_pictures_beside_the_page_are_copies(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=1, seeds=1)
    page = html.write(document, tmp_path / "report")
    own = Path(document["loras"][0]["pictures"][0]["file"])
    copied = [path for path in (page.parent / "images").iterdir() if path.read_bytes() == own.read_bytes()]
    assert len(copied) == 1
    assert not copied[0].samefile(own)
    assert not list((page.parent / "images").glob(".*"))


def test_a_second_page_is_made_without_the_pictures(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=2, seeds=1)
    first = html.html(document, tmp_path / "a")
    for lora in document["loras"]:
        for picture in lora["pictures"]:
            Path(picture["file"]).unlink()
    again = Parts(html.html(document, tmp_path / "b"))
    assert again.data("thumbnails") == Parts(first).data("thumbnails")
    assert again.data("data")["spectrum"] == Parts(first).data("data")["spectrum"]
    assert "" in again.data("data")["links"]


def test_a_picture_that_is_not_the_one_that_was_judged_is_not_shown(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=2, seeds=1)
    picture = document["loras"][0]["pictures"][0]
    Path(picture["file"]).write_bytes(Path(document["loras"][0]["pictures"][1]["file"]).read_bytes())
    found = Parts(html.html(document, tmp_path / "report"))
    number = found.data("data")["loras"][0]["images"][0]["picture"]
    assert found.data("thumbnails")[number] == ""
    assert found.data("data")["links"][number] == ""


def test_pictures_of_an_earlier_page_are_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=1, seeds=1)
    beside = tmp_path / "report" / "images"
    beside.mkdir(parents=True)
    (beside / f"{'0a' * 10}.png").write_bytes(b"old")
    (beside / "holiday.png").write_bytes(b"mine")
    html.write(document, tmp_path / "report")
    assert not (beside / f"{'0a' * 10}.png").exists()
    assert (beside / "holiday.png").exists()


def test_thumbnails_are_as_large_as_their_number_allows() -> None:
    sample = [photo(seed, 256) for seed in range(3)]
    sizes = [thumbnails.choose_size(count, sample, budget=400_000) for count in (8, 40, 120)]
    assert sizes[0] > sizes[1] > sizes[2]
    for count, size in zip((8, 40, 120), sizes, strict=True):
        assert sum(len(thumbnails.encode(one, size)) for one in sample) / 3 * count < 400_000


def test_a_page_without_pictures_or_a_store_still_gives_the_verdict(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=1, seeds=1)
    document["run"]["store"] = str(tmp_path / "elsewhere")
    for lora in document["loras"]:
        lora["pictures"] = []
    assert "Is it the subject?" in html.write(document, tmp_path / "report").read_text(encoding="utf-8")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_in_the_way_of_the_pictures_is_one_clear_error(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=1, seeds=1)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "images").write_text("")
    with pytest.raises(StoreError, match="choose another folder with --lora-report"):
        html.write(document, tmp_path / "report")
