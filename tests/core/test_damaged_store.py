"""What lies in the store under a wrong name, half, or changed is never measured: it is made anew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from world import MINIATURE, Gate, Run, made

from lora_checks.core.files import file_sha256


@pytest.fixture
def store(gate: Gate) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(gate.world.store, gate.folder / "store"))


def pictures(run: Run, lora: str, store: Path) -> list[Path]:
    """Where a LoRA's pictures lie in the copy."""
    found = next(one for one in run.report["loras"] if one["name"] == lora)["pictures"]
    return [store / "images" / Path(one["file"]).parent.name / Path(one["file"]).name for one in found]


def values(run: Run, lora: str) -> dict[str, float]:
    return {check: value for (name, check), value in run.values.items() if name == lora}


def test_pictures_of_a_good_lora_do_not_pass_in_the_name_of_a_bad_one(
    gate: Gate, first_run: Run, store: Path
) -> None:
    good, bad = (pictures(first_run, name, store) for name in ("good", "wrong-identity"))
    before = [path.read_bytes() for path in bad]
    for source, target in zip(good, bad, strict=True):
        target.unlink()
        shutil.copy(source, target)
    run = gate("--lora", gate.world.bad, "--lora-store", store)
    assert run.code == 1, run.out
    assert run.row("identity", "wrong-identity")["outcome"] == "FAIL"
    assert values(run, "wrong-identity") == values(first_run, "wrong-identity")
    assert "8 files in the store are damaged and are regenerated" in run.err
    assert "it is the picture of another recipe" in run.err
    assert [path.read_bytes() for path in bad] == before


def edited(path: Path) -> None:
    """By hand, with all that the picture says of itself."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    with Image.open(path) as image:
        info = PngInfo()
        info.add_itxt("lora_checks", image.info["lora_checks"])
        image.convert("RGB").transpose(Image.Transpose.ROTATE_90).save(path, pnginfo=info)


def shown_by(run: Run, store: Path) -> Path:
    """The folder with the images of the run's LoRA; other tests' runs may have left others in the store."""
    (folder,) = run.report["loras"][0]["images"]
    return store / Path(folder).name


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_pictures_that_are_not_those_that_were_made_are_made_anew(
    gate: Gate, first_run: Run, store: Path
) -> None:
    damages: list[Callable[[Path], None]] = [edited, flipped, halved, Path.unlink]
    damaged = dict(zip(pictures(first_run, "good", store)[1:], damages, strict=False))
    whole = {path: path.read_bytes() for path in damaged}
    for path, damage in damaged.items():
        damage(path)
    run = gate("--lora", gate.world.good, "--lora-store", store)
    assert run.code == 0, run.out + run.err
    assert values(run, "good") == values(first_run, "good")
    assert {path: path.read_bytes() for path in damaged} == whole
    assert sum(made(store).values()) == sum(made(gate.world.store).values()) + 4
    assert "3 files in the store are damaged and are regenerated" in run.err


@pytest.mark.parametrize("damage", [flipped, halved, Path.unlink])
def test_what_was_computed_is_computed_anew(
    gate: Gate, first_run: Run, store: Path, damage: Callable[[Path], None]
) -> None:
    gate("--lora", gate.world.good, "--lora-store", store)
    kinds = ("arrays", "loaders", "page", "preflight", "proofs", "self_test", "settings")
    files = [path for kind in kinds for path in (store / kind).rglob("*") if path.is_file()]
    assert {path.relative_to(store).parts[0] for path in files} == set(kinds)
    shown = {picture["sha256"] for picture in first_run.report["loras"][0]["pictures"]}
    pages = {path: path.read_bytes() for path in files if path.parent.name + path.name in shown}
    assert pages
    for path in files:
        damage(path)
    run = gate("--lora", gate.world.good, "--lora-store", store)
    assert run.code == 0, run.out + run.err
    assert values(run, "good") == values(first_run, "good")
    assert ("damaged" in run.err) is (damage is not Path.unlink)
    assert {path: path.read_bytes() for path in pages} == pages


def test_lines_of_the_list_of_images_that_cannot_be_read_are_left_out(gate: Gate, store: Path) -> None:
    with (store / "made.jsonl").open("ab") as file:
        file.write(b'{"image": 5}\n\xff\xfe\n[]\n{"half')
    before = len(list((store / "images").rglob("*.png")))
    run = gate("--lora", gate.world.good, "--lora-store", store, "--lora-seeds", "3")
    assert run.code in (0, 1), run.out
    assert "Traceback" not in run.out + run.err
    assert run.report["run"]["made"]["images"] == len(list((store / "images").rglob("*.png"))) - before > 0


def test_whoever_edits_a_shown_picture_changes_no_original(gate: Gate, first_run: Run, store: Path) -> None:
    run = gate("--lora", gate.world.good, "--lora-store", store)
    shown = shown_by(run, store)
    references = {path: path.read_bytes() for path in (MINIATURE / "references").glob("*.png")}
    copies = [*shown.glob("*.png"), *(run.report_folder / "images").iterdir()]
    assert len(copies) > 8 + 24
    for path in copies:
        with path.open("r+b") as file:  # in place, as editors of metadata write
            file.write(b"edited")
    assert {path: path.read_bytes() for path in references} == references
    again = gate("--lora", gate.world.good, "--lora-store", store)
    assert values(again, "good") == values(first_run, "good")
    assert "damaged" not in again.err
    assert not [path for path in copies if path.read_bytes().startswith(b"edited")]
    record = json.loads((shown / "run.json").read_text())
    assert Path(record["red/1"]["original"]).read_bytes() == (shown / "red_1.png").read_bytes()


def test_hard_links_and_a_damaged_record_of_an_earlier_version_are_replaced(gate: Gate, store: Path) -> None:
    run = gate("--lora", gate.world.good, "--lora-store", store)
    shown = shown_by(run, store)
    whole = (shown / "run.json").read_bytes()
    original = Path(json.loads(whole)["red/1"]["original"])
    beside = gate.folder / "report" / "images" / f"{file_sha256(original)[:20]}.png"
    for link in (shown / "red_1.png", beside):
        link.unlink()
        os.link(original, link)
    (shown / "run.json").write_bytes(b"\xff" + whole[1:])
    gate("--lora", gate.world.good, "--lora-store", store)
    assert not original.samefile(shown / "red_1.png")
    assert not original.samefile(beside)
    assert (shown / "run.json").read_bytes() == whole


def test_what_a_killed_process_left_behind_goes(gate: Gate, store: Path) -> None:
    picture = next((store / "images").rglob("*.png"))
    left = [picture.with_name(".tmp1234.part"), store / "locks" / f"{picture.name}.lock"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    run = gate("--lora", gate.world.good, "--lora-store", store)
    assert run.code == 0, run.out + run.err
    assert [path for path in left if path.exists()] == []


@pytest.mark.parametrize("folder", ["arrays", "page"])
def test_a_file_in_place_of_a_folder_is_a_sentence(gate: Gate, store: Path, folder: str) -> None:
    shutil.rmtree(store / folder, ignore_errors=True)
    (store / folder).write_bytes(b"")
    run = gate("--lora", gate.world.good, "--lora-store", store)
    assert run.code in ((0,) if folder == "page" else (1, 4))
    assert "Traceback" not in run.out + run.err
