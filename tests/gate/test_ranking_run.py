"""Several LoRAs gated in one run: the ranking is in its report, in the terminal and in Markdown."""

from __future__ import annotations

from world import MINIATURE, Run

from lora_checks.policy import reading
from lora_checks.record.ranking import rank


def test_a_run_of_two_loras_names_the_better_one(first_run: Run) -> None:
    ranking = first_run.report["ranking"]
    board = [(one["lora"], one["outcome"]) for one in ranking["leaderboard"]]
    assert [name for name, _ in board] == ["good", "wrong-identity"]
    assert ranking["best"]["lora"] == "good"
    assert "best: good, the only one that passes" in first_run.out


def test_the_report_alone_gives_the_same_ranking_again(first_run: Run) -> None:
    assert rank(first_run.report) == first_run.report["ranking"]


def test_the_weights_of_the_miniature_are_of_rows_with_a_value_for_each_image() -> None:
    policy = reading.load_policy(MINIATURE)
    assert [(one.row, one.weight) for one in policy.ranking] == [
        ("identity", 2.0),
        ("prompt-adherence", 1.0),
        ("prompts-ignored", 2.0),
        ("not-a-copy", 1.0),
        ("near-copies", 1.0),
    ]
