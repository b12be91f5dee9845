"""A run gets a note of overfitting if it overfits, and no note otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
from ranking_world import PROMPTS, document, even, lora, measured, of_set, spread

from lora_checks.record.ranking import rank

STEPS = (100, 200, 300, 600, 1200)
Curve = tuple[float, ...]


def notes(rng: np.random.Generator, sd: float = 0.05, name: str = "step-{}", **rows: Curve) -> list[str]:
    """Return the notes on a run whose rows (identity, not_a_copy, ...) have these true values at `STEPS`."""
    loras = []
    for i, step in enumerate(STEPS):
        values = {check.replace("_", "-"): spread(rng, curve[i], sd) for check, curve in rows.items()}
        loras.append(lora(name.format(step), values))
    return told(*loras)


def told(*loras: dict[str, Any], **run: Any) -> list[str]:
    found = rank(document(*loras, **run))
    assert found is not None
    texts: list[str] = found["notes"]
    return texts


def overfits(texts: list[str]) -> list[str]:
    return [note for note in texts if "overfits" in note]


def test_likeness_up_and_freedom_down_after_the_best_is_said_with_where_it_begins() -> None:
    (note,) = overfits(
        notes(
            np.random.default_rng(1),
            identity=(0.30, 0.50, 0.62, 0.70, 0.75),
            adherence=(0.75, 0.75, 0.74, 0.52, 0.30),
            not_a_copy=(0.20, 0.20, 0.19, 0.19, 0.05),
        )
    )
    start, _, end = note.partition(": at ")
    assert start == "after step 300 it overfits"
    assert end.startswith("step 1200 (from step 600 on) identity improves (0.6")
    assert "while adherence worsens (0.7" in end
    assert "and not-a-copy worsens (0.1" in end


def test_likeness_that_holds_is_enough() -> None:
    texts = notes(
        np.random.default_rng(2), identity=(0.5, 0.6, 0.65, 0.65, 0.65), adherence=(0.8, 0.8, 0.8, 0.6, 0.4)
    )
    assert "identity holds" in overfits(texts)[0]


def test_one_prompt_that_goes_the_other_way_hides_no_fall() -> None:
    rng = np.random.default_rng(13)
    before, after = spread(rng, 0.75, 0.02), spread(rng, 0.2, 0.15)
    odd = rank(document(*(lora(n, {"identity": even(0.6)}) for n in "ab")))
    assert odd is not None
    after[odd["split"]["judge"][0]] = [0.85, 0.85]
    first, last = (
        lora(f"step-{i}", {"identity": even(0.6), "adherence": found})
        for i, found in ((1, before), (2, after))
    )
    (note,) = overfits(told(first, last))
    assert "adherence worsens" in note


def test_a_fall_that_does_not_last_is_no_overfitting() -> None:
    texts = notes(
        np.random.default_rng(14), identity=(0.5, 0.6, 0.65, 0.65, 0.65), adherence=(0.8, 0.8, 0.8, 0.6, 0.8)
    )
    assert overfits(texts) == []


def test_a_run_that_breaks_after_it_overfitted_did_overfit() -> None:
    texts = notes(
        np.random.default_rng(15), identity=(0.5, 0.6, 0.65, 0.7, 0.1), adherence=(0.8, 0.8, 0.8, 0.4, 0.1)
    )
    (note,) = overfits(texts)
    assert ": at step 600 identity improves" in note


def test_epochs_are_named_in_the_note() -> None:
    curves = {"identity": (0.5, 0.6, 0.7, 0.7, 0.7), "adherence": (0.8, 0.8, 0.8, 0.5, 0.3)}
    (note,) = overfits(notes(np.random.default_rng(2), name="person-{:06}", **curves))
    assert note.startswith("after epoch 300 it overfits: at epoch 1200")


def test_a_run_that_breaks_as_a_whole_does_not_overfit() -> None:
    texts = notes(
        np.random.default_rng(3), identity=(0.5, 0.6, 0.65, 0.4, 0.2), adherence=(0.8, 0.8, 0.8, 0.6, 0.3)
    )
    assert overfits(texts) == []


def test_freedom_that_fell_before_the_best_is_no_overfitting_after_it() -> None:
    texts = notes(
        np.random.default_rng(4), identity=(0.2, 0.5, 0.65, 0.65, 0.65), adherence=(0.9, 0.8, 0.7, 0.7, 0.7)
    )
    assert overfits(texts) == []


def test_noise_alone_is_called_overfitting_in_few_of_a_hundred_runs() -> None:
    rng, flat = np.random.default_rng(5), (0.65,) * 5
    wrong = [overfits(notes(rng, 0.1, identity=flat, adherence=flat, not_a_copy=flat)) for _ in range(150)]
    assert sum(map(bool, wrong)) <= 0.06 * len(wrong)


def test_no_note_without_a_row_of_either_kind() -> None:
    falling = (0.9, 0.9, 0.9, 0.6, 0.3)
    assert overfits(notes(np.random.default_rng(6), adherence=falling)) == []
    assert overfits(notes(np.random.default_rng(6), identity=falling)) == []


def test_a_set_that_loses_variety_counts_by_what_each_prompt_has_part_in_it() -> None:
    rng, loras = np.random.default_rng(7), []
    for step, value in ((100, 900.0), (200, 500.0), (300, 1500.0)):
        parts = dict(zip(PROMPTS, rng.normal(value, 40, len(PROMPTS)), strict=True))
        recall = of_set("distribution", value, parts)
        rows = {"identity": even(0.6 if step > 100 else 0.5), "distribution": recall}
        loras.append(lora(f"step-{step}", rows))
    for one in loras:  # a set that tells of freedom, and is to be small as this one is
        one["rows"][1]["measurement"]["metric"] = "nearest_other"
    assert any("distribution worsens (500.0 to 1500.0)" in note for note in told(*loras))


def test_a_run_that_was_still_improving_at_its_end_is_said_to_be_short() -> None:
    texts = notes(
        np.random.default_rng(8), identity=(0.46, 0.5, 0.55, 0.6, 0.7), adherence=(0.8, 0.8, 0.8, 0.8, 0.8)
    )
    (note,) = [note for note in texts if "longer run" in note]
    assert note.startswith("the best is the last checkpoint, step 1200, and identity improved (0.6")
    flat = (0.46, 0.5, 0.6, 0.7, 0.7)
    assert not any("longer" in note for note in notes(np.random.default_rng(9), identity=flat))


def test_of_two_runs_each_has_its_own_note() -> None:
    rng, loras = np.random.default_rng(10), []
    for run, late in (("calm", 0.8), ("greedy", 0.2)):
        for step, adherence in ((100, 0.8), (200, late)):
            rows = {"identity": spread(rng, 0.6, 0.02), "adherence": spread(rng, adherence, 0.02)}
            loras.append(lora(f"{run}-step{step}", rows, path=f"runs/{run}-step{step}.safetensors"))
    (note,) = overfits(told(*loras))
    assert note.startswith("greedy: after step 100 it overfits")


def test_loras_that_were_decided_by_fewer_images_are_said_to_be_less_certain() -> None:
    few, all_of_them = even(0.6, PROMPTS[:8]), even(0.6)
    (note,) = told(lora("a", {"identity": few}), lora("b", {"identity": all_of_them}))
    assert note.startswith("the LoRAs were decided by different numbers of images, 16 to 32 of identity")


def test_prompts_of_one_tag_and_missing_faces_tell_nothing_of_overfitting() -> None:
    rows: dict[str, Any] = {"leak": even(0.1), "face-found": even(0.5), "adherence": even(0.8)}
    later = rows | {"adherence": even(0.5)}
    assert measured("leak", even(0.1)).on == "no-trigger"
    assert told(lora("step-1", rows), lora("step-2", later)) == []
