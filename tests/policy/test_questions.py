"""`questions:` of a policy, and the seven that every policy has."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_policy import small_policy

from lora_checks.core.errors import ConfigError
from lora_checks.core.records.questions import Question
from lora_checks.policy.questions import _fitting, standard

ROW = "metric: judge, network: vlm, min: 0.8, why: w"


def asked(folder: Path, questions: str, name: str = "q") -> Question:
    text = f"questions: {{{questions}}}\nchecks:\n  row: {{{ROW}, question: {name}}}\n"
    (row,) = small_policy(folder, text).thresholds
    assert row.question is not None
    return row.question


def test_the_seven_are_there_without_being_declared(tmp_path: Path) -> None:
    (row,) = small_policy(tmp_path, f"checks:\n  row: {{{ROW}, question: limbs}}\n").thresholds
    assert row.question == standard()["limbs"]
    assert sorted(standard()) == [
        "adherence", "adherence-simple", "artifacts", "limbs", "person", "quality", "same-person",
    ]  # fmt: skip
    assert standard()["same-person"].reference == "each"


def test_a_predicate_is_good_when_yes_unless_told_otherwise(tmp_path: Path) -> None:
    assert asked(tmp_path, "q: {predicate: 'Is it sharp?'}") == Question("q", "predicate", "Is it sharp?")
    assert asked(tmp_path, "q: {predicate: 'Is it melted?', good: false}").good == ("no",)


def test_a_choice_and_a_score_have_their_answers(tmp_path: Path) -> None:
    where = asked(tmp_path, "q: {choice: 'Where?', options: [in, out, above], good: [in, above]}")
    assert (where.kind, where.options, where.good) == ("choice", ("in", "out", "above"), ("in", "above"))
    sharp = asked(tmp_path, "q: {score: 'How sharp?', levels: [blurred, sharp]}")
    assert (sharp.kind, sharp.options, sharp.good) == ("score", ("blurred", "sharp"), ())


def test_controls_follow_from_what_is_asked(tmp_path: Path) -> None:
    assert asked(tmp_path, "q: {predicate: 'Is it sharp?'}").controls == ("blank",)
    prompt = "q: {predicate: 'Does it show {prompt}?'}"
    assert asked(tmp_path, prompt).controls == ("blank", "other_prompt")
    same = "q: {predicate: 'The same?', reference: each}"
    assert asked(tmp_path, same).controls == ("blank", "base")
    assert asked(tmp_path, "q: {predicate: 'Whole?', controls: [bad, bad]}").controls == ("bad",)
    assert asked(tmp_path, "q: {predicate: 'Is it melted?', good: false}").controls == ("bad",)
    assert asked(tmp_path, "q: {choice: 'Where?', options: [a, b], good: a}").controls == ()
    assert asked(tmp_path, "q: {score: 'How sharp?', levels: [a, b]}").controls == ("blank",)


def test_a_question_of_a_tag_makes_the_row_one_of_that_tag(tmp_path: Path) -> None:
    text = "questions: {q: {predicate: 'Are there glasses?', tagged: glasses}}\n"
    rows = f"checks:\n  row: {{{ROW}, question: q}}\n"
    with pytest.raises(ConfigError, match="has the tag 'glasses'"):
        small_policy(tmp_path, text + rows)


def test_a_policys_question_replaces_one_of_the_seven_and_is_in_its_digest(tmp_path: Path) -> None:
    rows = f"checks:\n  row: {{{ROW}, question: limbs}}\n"
    own = "questions: {limbs: {predicate: 'Four limbs?'}}\n"
    standard_digest = small_policy(tmp_path, rows).digest
    assert small_policy(tmp_path, own + rows).digest != standard_digest
    other = "questions: {unused: {predicate: 'Four limbs?'}}\n"
    assert small_policy(tmp_path, other + rows).digest == standard_digest


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ("q: {good: true}", "needs one of predicate, choice, score"),
        ("q: {predicate: 'A?', score: 'B?', levels: [a, b]}", "needs one of predicate, choice, score"),
        ("q: {predicate: A?}", r"thresholds.yaml:1: not YAML: .*put the text in quotes"),
        ("q: {predicat: 'A?'}", "did you mean 'predicate'"),
        ("q: {predicate: 'Is it {promt}?'}", r"\{promt\} is not filled in; did you mean 'prompt'"),
        ("q: {predicate: 'A?', options: [a, b]}", "a predicate has no options"),
        ("q: {choice: 'A?', options: [a, b]}", "'good' is missing"),
        ("q: {choice: 'A?', good: a}", "'options' is missing"),
        ("q: {choice: 'A?', options: [a], good: a}", "two or more different answers"),
        ("q: {choice: 'A?', options: [a, b], good: c}", "'c' is none of the options"),
        ("q: {choice: 'A?', options: [a, b], good: [a, b]}", "every option counts as good"),
        ("q: {score: 'A?', levels: [a, b], good: a}", "stand from worst to best"),
        ("q: {predicate: 'A?', good: no}", "write true or false"),
        ("q: {predicate: 'A?', reference: nearest}", "'by' is missing"),
        ("q: {predicate: 'A?', by: clip}", "finds the nearest reference"),
        ("q: {predicate: 'A?', most: 3}", "limits 'reference: each'"),
        ("q: {predicate: 'A?', reference: every}", "must be one of none, nearest, each"),
        ("q: {predicate: 'A?', controls: [blanc]}", "must be one of blank"),
        ("Q: {predicate: 'A?'}", "cannot be a name"),
    ],
)
def test_a_wrong_question_is_refused_with_its_place(tmp_path: Path, questions: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        asked(tmp_path, questions)
    assert "thresholds.yaml:1: " in str(error.value)


def test_an_unknown_question_has_its_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"thresholds.yaml:3: checks.row.question: no question 'limb' .*'limbs'"
    ):
        asked(tmp_path, "", "limb")


def test_a_question_of_a_tag_is_not_tried_on_what_may_lack_the_tag() -> None:
    def controls(**fields: str) -> tuple[str, ...]:
        return _fitting(Question("q", "predicate", **{"text": "Glasses?", "tagged": "glasses", **fields}))  # type: ignore[arg-type]

    assert controls() == ()
    assert controls(tagged="") == ("blank",)
    assert controls(text="Is it {prompt}?") == ("other_prompt",)
