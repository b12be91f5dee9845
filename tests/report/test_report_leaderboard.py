"""Several LoRAs in the terminal and in Markdown: who is best, what stopped the others, what a run did."""

from __future__ import annotations

from typing import Any

import numpy as np
from ranking_world import document, even, lora, of_set, spread

from lora_checks.record.ranking import rank
from lora_checks.report import leaderboard, markdown
from lora_checks.report.terminal import lines

HOSTILE = "a|b`c`<script>\x1b[31m\x00\u202e\n](http://evil.example)"
SAID = [{"check": "identity", "weight": 1.0, "from": 0.0, "to": 1.0}]


def a_run(count: int = 6) -> dict[str, Any]:
    """Identity rises over the steps, and adherence breaks down from step 400 on."""
    rng, loras = np.random.default_rng(1), []
    for i in range(count):
        adherence = 0.8 if i < 3 else 0.3
        rows = {
            "identity": spread(rng, 0.5 + i / 20, 0.01),
            "adherence": spread(rng, adherence, 0.01),
            "distribution": of_set("distribution", 500.0),
        }
        loras.append(lora(f"step-{100 * (i + 1):04}", rows))
    found = document(*loras, ranking=SAID)
    return found | {"ranking": rank(found)}


def test_many_loras_are_a_leaderboard_with_what_stopped_each() -> None:
    found = lines(a_run(), 200)
    assert found[1].split() == ["LoRA", "step", "utility", "judged", "verdict"]
    best = found[2].split()
    assert (best[:2], best[4:]) == (["step-0300.safetensors", "300"], ["PASS", "3", "of", "3", "rows"])
    assert [line.split()[1] for line in found[2:8]] == ["300", "200", "100", "600", "500", "400"]
    assert found[5].endswith("FAIL  1 of 3 rows: adherence")


def test_the_best_and_the_notes_stand_before_the_last_line() -> None:
    found = "\n".join(lines(a_run(), 400)[-5:])
    assert "  best: step-0300 (step 300), first of 3 that pass, utility 0." in found
    assert "step-0300 on the 8 prompts it was chosen by | 8 others: identity 0." in found
    assert "no part in utility: adherence, distribution" in found
    assert "after step 300 it overfits: at step 600 (from step 400 on) identity improves" in found
    assert found.endswith("FAIL: 3 of 6 LoRAs passed; 3 failed")


def test_few_loras_are_shown_in_full_and_ranked_in_a_sentence() -> None:
    found = lines(a_run(2), 200)
    assert found[0].startswith("step-0100.safetensors  PASS")
    assert any(line.startswith("  best: step-0200 (step 200), first of 2") for line in found)


def test_markdown_has_the_leaderboard_as_a_table() -> None:
    found = markdown.render(a_run())
    assert "\n**Best: step-0300 (step 300), first of 3 that pass, utility 0." in found
    board, _, spread_ = found.partition("<details>")
    assert "| average (min to max) | identity | adherence |" in spread_
    rows = [line for line in board.splitlines() if line.startswith("| step-0")]
    assert [row.split(" | ")[1] for row in rows] == ["300", "200", "100", "600", "500", "400"]
    assert rows[3].endswith("| FAIL | adherence |")
    assert "\n- after step 300 it overfits" in found


def test_a_thousand_checkpoints_do_not_fill_a_summary() -> None:
    loras = [lora(f"step-{i}", {"identity": even(0.6)}) for i in range(1, 301)]
    found = document(*loras)
    text = markdown.render(found | {"ranking": rank(found)})
    assert text.partition("<details>")[0].count("\n| step-") == markdown.MOST_RANKED
    assert "\n- 100 more LoRAs: see report.json" in text


def test_names_from_outside_stay_names() -> None:
    found = document(*(lora(name, {"identity": even(0.6)}, path="") for name in (HOSTILE, "b")))
    ranked = found | {"ranking": rank(found)}
    for text in ("\n".join(lines(ranked, 120)), markdown.render(ranked)):
        assert "\x1b" not in text
        assert "\x00" not in text
    assert "<script" not in markdown.render(ranked)


def test_the_axis_of_strengths_is_called_strength() -> None:
    found = document(*(lora(f"a:{s:g}", {"identity": even(0.6)}, scale=s) for s in (0.5, 1.0)))
    ranking = rank(found)
    assert ranking is not None
    assert leaderboard.headings(ranking)[:2] == ["LoRA", "strength"]


def test_what_stopped_a_lora_goes_below_where_it_has_no_room_beside() -> None:
    found = lines(a_run(), 70)
    assert all(len(line) <= 70 for line in found)
    at = next(i for i, line in enumerate(found) if line.startswith("  step-0600"))
    assert found[at].endswith("FAIL  1 of 3 rows")
    assert found[at + 1] == "      adherence"
