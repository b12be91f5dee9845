"""The verdict table."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from report_world import HOSTILE, ROWS, document, lora, measurement, refused, verdicts

from lora_checks.core.records import Calibration
from lora_checks.judge.verdict import error, judge
from lora_checks.report.terminal import lines


def joined(rows: list[str]) -> str:
    return re.sub(r"\s+", " ", " ".join(rows))


def index(rows: list[str], start: str) -> int:
    return next(i for i, line in enumerate(rows) if line.startswith(start))


def test_the_first_line_says_what_was_gated_and_how_it_ended() -> None:
    first = lines(document(verdicts()), 140)[0]
    assert first.startswith("overfit.safetensors  FAIL  2 of 5 rows, 1 INCONCLUSIVE")
    assert first.endswith("base miniature-sd 3f2a91  16 prompts x 2 seeds")
    assert len(first) == 140


def test_a_sweep_shows_strengths_and_a_stack_its_companions() -> None:
    loras = [{"name": "a:0.6", "path": "loras/a.safetensors", "scale": 0.6, "sha256": "9c1e" * 16}]
    companions = [{"name": "style", "path": "style.safetensors", "scale": 0.7, "sha256": "1" * 64}]
    first = lines(document(verdicts("a:0.6"), loras=loras, companions=companions), 140)[0]
    assert first.startswith("a.safetensors at 0.6  FAIL")
    assert first.endswith("16 prompts x 2 seeds  with style:0.7")


def test_rows_are_worst_first_and_aligned() -> None:
    found = lines(document(verdicts()), 140)
    starts = ["  FAIL", "  FAIL", "  FAIL", "  INCONCLUSIVE", "  PASS", "  PASS"]
    assert all(line.startswith(start) for line, start in zip(found[1:7], starts, strict=True))
    assert len({line.index("[") for line in found[1:7]}) == 1


@pytest.mark.parametrize(
    "words",
    [
        "not a copy trunk_distance 0.031 [0.022, 0.040] min 0.080 12 of 32 images are nearest to train/07",
        "prompt adherence clip_score 0.214 [0.201, 0.227] min 0.260 worst: green-shirt 0.171",
        "variety (optional) vendi 2.000",
        "drift lpips 0.181 [0.170, 0.190] max 0.250 good",
        "identity arcface 0.831 [0.797, 0.865] min 0.500 images 0.612 to 0.974, no face in 0",
    ],
)
def test_a_row_shows_value_interval_limit_and_a_note(words: str) -> None:
    assert words in joined(lines(document(verdicts()), 160))


@pytest.mark.parametrize(
    ("check", "fields", "words"),
    [
        ("surely clear", {"low": 0.201, "sides": 1}, "surely clear clip_score 0.214 >= 0.201 min 0.200"),
        ("surely clear", {"high": 0.19, "low": 0.1, "sides": 1, "value": 0.15}, "0.150 <= 0.190 min 0.200"),
        ("surely clear", {"sides": 1}, "0.214 [0.195, 0.233] min 0.200 worst:"),
        ("drift", {"floor": 0.15}, "max 0.250 good, floor 0.150"),
    ],
)
def test_the_table_prints_what_the_row_was_judged_by(check: str, fields: dict[str, Any], words: str) -> None:
    assert words in joined(lines(document(verdicts(checks=(check,), **fields)), 140))


def test_rows_of_gains_shares_and_arms_say_so_and_on_what_they_were_calibrated() -> None:
    asked = {"stat": "share_at_least", "at": 0.3, "gain": True, "on": "glasses=yes"}
    calibrated = Calibration("net:1", ("a", "b"), ("c",), 0.12, 32)
    row = replace(ROWS["identity"], calibrated_on=calibrated, **asked)
    found = document([judge(measurement("identity", **asked), row, lora("good"))])
    assert "share arcface gain >= 0.300 on glasses=yes" in joined(lines(found, 200))
    assert "calibrated on 2 good, 1 bad (margin 0.120, 32 images)" in joined(lines(found, 200))
    assert sum("PASS" in line for line in lines(found, 200)[1:]) == 1  # one line a row


def test_a_run_until_decided_says_how_far_it_may_go() -> None:
    assert "16 prompts x 2 seeds up to 64 images" in joined(
        lines(document(verdicts(), until_decided=64), 120)
    )


def test_each_failure_is_said_in_words_and_the_folder_once() -> None:
    found = joined(lines(document(verdicts()), 100))
    assert "prompt adherence: mean clip_score 0.214 [0.201, 0.227] is below min 0.260" in found
    assert "surely clear: mean clip_score 0.214 [0.195, 0.233] straddles min 0.200; about" in found
    assert found.count("out/overfit") == 1
    assert found.endswith("images: out/overfit")


def test_a_pass_needs_no_words() -> None:
    found = lines(document(verdicts("good", ("identity", "drift"))), 120)
    assert found[0].startswith("good.safetensors  PASS  2 of 2 rows")
    assert len(found) == 4
    assert not any("meets" in line for line in found)


def test_a_required_row_without_a_verdict_is_in_the_table() -> None:
    found = lines(document(verdicts("good", ("identity",)), missing=(("good", "drift"),)), 120)
    assert found[0].startswith("good.safetensors  INCOMPLETE  1 of 2 rows not run")
    assert found[index(found, "  NOT RUN")].split() == ["NOT", "RUN", "drift"]


def test_a_refused_file_takes_one_line_not_one_a_row() -> None:
    found = lines(document(refused("broken", "broken.safetensors is damaged: export it again")), 120)
    assert found[0].startswith("broken.safetensors  ERROR  5 of 5 rows")
    assert found[1:] == ["  ERROR  6 rows: broken.safetensors is damaged: export it again"]


def test_errors_of_different_reasons_are_kept_apart() -> None:
    two = [error("a", "", "x", None, "no references"), error("a", "", "y", None, "no weights")]
    assert lines(document(two), 120)[1:] == ["  ERROR  x: no references", "  ERROR  y: no weights"]


def test_many_loras_get_a_line_each_and_details_only_where_one_did_not_pass() -> None:
    good = [verdicts(f"step-{i:04}", ("identity", "drift")) for i in range(38)]
    found = lines(document(*good, verdicts("overfit"), refused("broken", "damaged")), 120)
    assert sum(line.startswith("  step-") for line in found) == 38
    assert found[1].split() == ["LoRA", "step", "utility", "verdict"]
    assert found[40].startswith(
        "  overfit.safetensors       -    0.600  FAIL  2 of 5 rows, 1 INCONCLUSIVE: not a copy, prompt"
    )
    assert found[41] == "  broken.safetensors        -        -  ERROR  5 of 5 rows"
    assert len([line for line in found if "PASS" in line]) == 38
    assert found[-1] == "FAIL: 38 of 40 LoRAs passed; 1 failed, 1 in error"
    assert len(found) < 70


def test_a_few_loras_are_shown_in_full_and_summed_up() -> None:
    found = lines(document(verdicts("a", ("drift",)), verdicts("b", ("drift",))), 120)
    assert [line.split()[0] for line in found if ".safetensors" in line] == ["a.safetensors", "b.safetensors"]
    assert found[-1] == "PASS: all 2 LoRAs passed"


def test_nothing_judged_is_said() -> None:
    assert lines(document(), 80) == ["INCOMPLETE: no LoRA was judged"]


@pytest.mark.parametrize("width", [20, 60, 80, 100, 140, 200])
def test_any_width_keeps_every_number(width: int) -> None:
    found = joined(lines(document(verdicts()), width))
    for part in ("0.031", "[0.022, 0.040]", "min 0.080", "train/07.png", "green-shirt", "0.171"):
        assert part in found
    if width >= 80:
        assert max(map(len, lines(document(verdicts()), width))) <= width


def test_markup_colours_the_verdicts_without_moving_the_columns() -> None:
    def paint(text: str, **how: bool) -> str:
        return f"\x1b[{'+'.join(sorted(how))}m{text}\x1b[0m"

    document_ = document(verdicts(), refused("broken", "damaged"))
    coloured = lines(document_, 120, paint)
    assert any("\x1b[bold+redmFAIL" in line for line in coloured)
    assert any("\x1b[greenmPASS" in line for line in coloured)
    assert [re.sub(r"\x1b\[.*?m", "", line) for line in coloured] == lines(document_, 120)


def test_names_from_outside_cannot_reach_the_terminal_as_control_characters() -> None:
    for found in (document(verdicts(HOSTILE)), document(refused(HOSTILE, HOSTILE))):
        assert all(line.isprintable() for line in lines(found, 100))


@pytest.mark.parametrize("width", [80, 90, 100, 110, 120])
def test_a_number_stays_with_what_it_is_of_and_no_line_hangs_over(width: int) -> None:
    found = lines(document(verdicts()), width)
    assert all(len(line) <= width for line in found)
    assert [line for line in found if re.search(r" (in|of|max|min|least|most)$", line)] == []
    assert not any("\u00a0" in line for line in found)
    near = judge(measurement("not a copy", worst=("purple-teal-smile", 0.0)), ROWS["not a copy"], lora("b"))
    found = lines(document(verdicts("a"), [near]), width)
    assert all(len(line) <= width for line in found)
    assert [line for line in found if line.endswith(("no", "no face"))] == []


def test_a_share_without_a_face_names_no_reference_that_others_are_near_to() -> None:
    row = replace(ROWS["identity"], name="faces", stat="missing", min=None, max=0.2)
    measured = measurement("identity", stat="missing", value=0.75, low=0.6, high=0.9, n=8, missing=24)
    near = replace(measured, nearest=(("references/08.png", 2),))
    assert "nearest to" not in joined(lines(document([judge(near, row, lora("a"))]), 100))
    told = judge(replace(near, stat="mean", missing=0, value=0.1), ROWS["identity"], lora("a"))
    assert "2 of 8 images are nearest to references/08.png" in joined(lines(document([told]), 100))


def test_loras_stand_apart() -> None:
    found = lines(document(verdicts("a"), verdicts("b")), 100)
    at = index(found, "b.safetensors")
    assert found[at - 1] == ""
    assert found[at - 2].startswith("  images: ")
    assert found[-1].startswith("FAIL: 0 of 2 LoRAs")
