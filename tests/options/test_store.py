"""--lora-store DIR: where everything that was expensive is kept."""

from __future__ import annotations

from world import Gate


def test_the_default_is_in_the_current_folder(gate: Gate) -> None:
    (gate.folder / ".lora_checks").symlink_to(gate.world.store)
    run = gate.pytest(
        "--lora", gate.world.good, "--lora-policy", gate.world.policy, "--lora-report", "report"
    )
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["store"] == str(gate.folder / ".lora_checks")


def test_a_store_that_cannot_be_written_is_known_at_once(gate: Gate) -> None:
    (gate.folder / "file").write_text("")
    run = gate("--lora", gate.world.good, "--lora-store", "file/store")
    assert run.code == 4
    assert "cannot write to the store at" in run.err
    assert "name another folder with --lora-store" in run.err
    assert "Traceback" not in run.out + run.err


def test_the_images_of_each_lora_can_be_looked_at(gate: Gate) -> None:
    run = gate("--lora", gate.world.good)
    shown = run.row("identity")["images"]
    folder = gate.folder / shown
    assert folder.parent.samefile(gate.world.store)
    assert sorted(path.name for path in folder.glob("*.png")) == sorted(
        f"{shirt}_1.png" for shirt in ("red", "blue", "green", "yellow", "purple", "orange", "white", "black")
    )
    assert f"images: {shown}" in run.out
