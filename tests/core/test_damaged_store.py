"""What lies in the store under a wrong name, or half, is never measured in a LoRA's name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from world import Gate, Run


@pytest.fixture
def store(gate: Gate) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(gate.world.store, gate.folder / "store"))


def pictures(run: Run, lora: str, store: Path) -> list[Path]:
    """Where a LoRA's pictures lie in the copy."""
    found = next(one for one in run.report["loras"] if one["name"] == lora)["pictures"]
    return [store / "images" / Path(one["file"]).parent.name / Path(one["file"]).name for one in found]


def test_pictures_of_a_good_lora_do_not_pass_in_the_name_of_a_bad_one(
    gate: Gate, first_run: Run, store: Path
) -> None:
    good, bad = (pictures(first_run, name, store) for name in ("good", "wrong-identity"))
    for source, target in zip(good, bad, strict=True):
        target.unlink()
        shutil.copy(source, target)
    run = gate("--lora", gate.world.bad, "--lora-store", store)
    assert run.code == 1, run.out
    reason = run.row("identity", "wrong-identity")["reason"]
    assert f"{bad[0]} is the picture of another recipe; delete it and run again" in reason


def test_an_edited_picture_that_has_lost_its_recipe_is_an_error(
    gate: Gate, first_run: Run, store: Path
) -> None:
    from PIL import Image

    path = pictures(first_run, "good", store)[0]
    with Image.open(path) as image:
        image.convert("RGB").save(path)
    run = gate("--lora", gate.world.good, "--lora-store", store)
    assert run.code == 1, run.out
    assert f"{path} (it has no recipe); delete it and run again" in run.row("identity")["reason"]


def test_a_half_answer_of_the_preflight_is_a_sentence(gate: Gate, store: Path) -> None:
    for path in (store / "preflight").iterdir():
        path.unlink()
        path.write_bytes(b"[")
    run = gate("--lora", gate.world.good, "--lora-store", store)
    assert run.code == 4, run.out
    assert "damaged file in the store: " in run.err
    assert "delete it and run again" in run.err
    assert "Traceback" not in run.out + run.err
