"""--lora-references PATH: other pictures of the subject, or statistics of them."""

from __future__ import annotations

import shutil

import numpy as np
from PIL import Image
from shards_made import write_tar
from world import MINIATURE, Gate, Run, row

FACES = row("identity", "arcface", "min: -1, max_missing: 0.5")


def test_a_folder(gate: Gate) -> None:
    (gate.folder / "photos").mkdir()
    for picture in sorted((MINIATURE / "references").glob("*.png"))[:3]:
        shutil.copy(picture, gate.folder / "photos")
    faces = gate.world.write(gate.folder / "policy", FACES)
    run = gate("--lora", gate.world.good, "--lora-references", "photos", "--lora-policy", faces)
    assert run.code == 0, run.out + run.err
    assert run.row("identity")["measurement"]["against"] == "references (3)"


def test_a_tar_is_measured_as_its_folder_is(gate: Gate, first_run: Run) -> None:
    pictures = sorted((MINIATURE / "references").glob("*.png"))
    write_tar(gate.folder / "photos.tar", {path.name: path.read_bytes() for path in pictures})
    run = gate("--lora", gate.world.good, "--lora-references", "photos.tar")
    assert run.code == 0, run.out + run.err
    assert run.values == {key: value for key, value in first_run.values.items() if key[0] == "good"}
    listed = run.report["run"]["folders"]["references"]["images"]
    assert [(image["name"], image["file"]) for image in listed] == [
        (f"photos/{p.name}", "") for p in pictures
    ]
    assert (run.report_folder / "report.html").is_file()


def test_a_folder_without_pictures(gate: Gate) -> None:
    (gate.folder / "photos").mkdir()
    run = gate("--lora", gate.world.good, "--lora-references", "photos")
    assert run.code == 4
    assert "photos: no pictures there" in run.err


def test_a_folder_that_is_not_there(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-references", "gone")
    assert run.code == 4
    assert "gone does not exist; put the pictures to compare with there" in run.err


def test_a_picture_without_a_face_is_named(gate: Gate) -> None:
    (gate.folder / "photos").mkdir()
    shutil.copy(MINIATURE / "references" / "00.png", gate.folder / "photos")
    Image.new("RGB", (64, 64), "white").save(gate.folder / "photos" / "wall.png")
    faces = gate.world.write(gate.folder / "policy", FACES)
    run = gate("--lora", gate.world.good, "--lora-references", "photos", "--lora-policy", faces)
    assert run.code == 1
    assert run.outcomes["good", "identity"] == "ERROR"
    assert "no face was found in 1 of 2 references: wall.png" in run.row("identity")["reason"]


def test_a_damaged_picture_is_named(gate: Gate) -> None:
    (gate.folder / "photos").mkdir()
    (gate.folder / "photos" / "half.png").write_bytes(
        (MINIATURE / "references" / "00.png").read_bytes()[:500]
    )
    faces = gate.world.write(gate.folder / "policy", FACES)
    run = gate("--lora", gate.world.good, "--lora-references", "photos", "--lora-policy", faces)
    assert run.code == 4  # known before an image is made, from looking for training pictures among them
    assert "half.png: cannot be decoded as a picture" in run.err
    assert "Traceback" not in run.out + run.err


def test_statistics_serve_a_metric_of_sets_and_no_other(gate: Gate) -> None:
    np.savez(gate.folder / "stats.npz", mu=np.zeros(512), sigma=np.eye(512))
    distribution = row("distribution", "trunk_frechet", "max: 1000000.0")
    both = gate.world.write(gate.folder / "both", row("identity", "arcface", "min: 0.1") + distribution)
    refused = gate("--lora", gate.world.good, "--lora-policy", both, "--lora-references", "stats.npz")
    assert refused.code == 4  # before an image is made
    assert "identity: arcface compares with pictures, and references is a file of statistics" in refused.err
    policy = gate.world.write(gate.folder / "policy", distribution)
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-references", "stats.npz")
    assert run.outcomes["good", "distribution"] == "PASS", run.row("distribution")["reason"]
    assert run.row("distribution")["measurement"]["against"] == "references (stats.npz)"
