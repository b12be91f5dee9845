"""What a reviewer reads: reasons by what a row is, the sentences at the top, and the three pictures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from browser_world import Visit
from page_fixtures import Parts

from lora_checks.report import experiments, html, questions, summary
from lora_checks.report.html import examples, marks
from lora_checks.report.html.album import collect
from lora_checks.report.reasons import prose

NAMES = [f"p{i}/0" for i in range(12)]


def row(document: dict[str, Any], values: list[float | None], outcome: str = "FAIL", **fields: Any) -> Any:
    """The row `likeness` with these values of images; fields go to the measurement or the threshold."""
    made = copy.deepcopy(next(r for r in document["loras"][0]["rows"] if r["check"] == "likeness"))
    there = [value for value in values if value is not None]
    m, t = made["measurement"], made["threshold"]
    limits = {key: fields.pop(key, None) for key in ("min", "max")}
    t |= limits | {key: fields.pop(key) for key in ("rule", "max_missing") if key in fields}
    m |= {"per_image": [list(pair) for pair in zip(NAMES, values, strict=False)], "n": len(there)}
    m |= {"missing": len(values) - len(there), "value": sum(there) / max(1, len(there))} | fields
    return made | {"outcome": outcome}


def test_shares_count_images_and_say_what_they_do(document: dict[str, Any]) -> None:
    values = [0.95] * 10 + [0.2] * 2
    near = row(document, values, stat="share_at_least", at=0.9, max=0.2, against="train (20)", value=10 / 12)
    assert prose(near).startswith("10 of 12 images copy a training picture (similarity at least 0.900)")
    assert prose(near).endswith("at most 2 may.")
    one = row(document, [0.95] + [0.2] * 11, stat="share_at_least", at=0.9, max=0.05, against="train (20)")
    assert prose(one).startswith("1 of 12 images copies a training picture")
    assert prose(one).endswith("none may.")
    low = row(document, values, stat="share_at_least", at=0.5, min=0.9, value=10 / 12)
    assert prose(low) == (
        "2 of 12 images are too unlike the references (similarity below 0.500); at most 1 may."
    )
    bound = row(document, values, stat="share_at_least", at=0.5, min=0.9, rule="bound", value=10 / 12)
    assert prose(bound).startswith("2 of 12 images (17 %) are too unlike the references")
    gain = row(document, values, stat="share_at_most", at=0.5, max=0.1, gain=True)
    assert prose(gain).startswith("2 of 12 images gain at most 0.500 over the base in the likeness")


@pytest.mark.parametrize(
    ("limit", "outcome", "low", "high", "end"),
    [
        ({"max": 0.2}, "FAIL", 0.31, 0.9, "at most 20 % may, and allowing for chance at least 31 % do."),
        ({"max": 0.2}, "PASS", 0.0, 0.14, "at most 20 % may, and allowing for chance at most 14 % do."),
        ({"max": 0.2}, "INCONCLUSIVE", 0.04, 0.4, "allowing for chance 4 % to 40 % do."),
        ({"min": 0.8}, "FAIL", 0.1, 0.69, "at most 20 % may, and allowing for chance at least 31 % do."),
        ({"min": 0.8}, "PASS", 0.86, 1.0, "at most 20 % may, and allowing for chance at most 14 % do."),
        ({"max": 0.2}, "FAIL", 0.206, 0.9, "at most 20 % may, and allowing for chance at least 21 % do."),
        ({"max": 0.2}, "FAIL", 0.2004, 0.9, "at most 20 % may, and allowing for chance at least 20.04 % do."),
    ],
)
def test_what_chance_allows_is_on_the_side_of_the_verdict(
    document: dict[str, Any], limit: dict[str, float], outcome: str, low: float, high: float, end: str
) -> None:
    stat = "share_at_most" if "max" in limit else "share_at_least"
    fields: dict[str, Any] = {"stat": stat, "at": 0.5, "rule": "bound", "low": low, "high": high}
    text = prose(row(document, [0.2] * 6 + [0.9] * 6, outcome, **limit, **fields))
    assert text.startswith("6 of 12 images (50 %) are too unlike the references (similarity ")
    assert end in text


def test_each_kind_of_image_has_words_of_its_own(document: dict[str, Any]) -> None:
    def said(metric: str, limit: dict[str, float], **fields: Any) -> str:
        stat = "share_at_most" if fields.pop("low_ones", False) else "share_at_least"
        made = {"metric": metric, "stat": stat, "at": 0.5, "low": None, "high": None} | fields
        return prose(row(document, [0.2] * 6 + [0.9] * 6, **limit, **made)).partition(";")[0]

    few = {"max": 0.1}
    assert said("clip_score", few, low_ones=True).endswith(
        "follow the prompt too little (clip_score at most 0.500)"
    )
    assert said("unsafe", few).endswith("are unsafe (unsafe at least 0.500)")
    assert said("trunk_distance", few, low_ones=True, against="train (9)").endswith(
        "copy a training picture (trunk_distance at most 0.500)"
    )
    assert said("trunk_distance", few, against="references (9)").endswith(
        "are too unlike the references (trunk_distance at least 0.500)"
    )
    assert said("mine", few).endswith("score at least 0.500 on mine")


def asks(made: dict[str, Any], **question: Any) -> dict[str, Any]:
    """Make a row one that a vision model answers."""
    text = {"text": "Is there a {class_words} in the picture?", "kind": "predicate", "good": ["yes"]}
    made["threshold"]["question"] = text | {"name": "person", "options": ["yes", "no"]} | question
    made["measurement"]["metric"] = "judge"
    return made


def test_a_question_to_a_model_is_told_with_its_answer(document: dict[str, Any]) -> None:
    said = asks(row(document, [0.4] * 12, min=0.5))
    assert prose(said, "dog") == (
        "On average, the probability of yes to \u201cIs there a dog in the picture?\u201d is 0.400; "
        "at least 0.500 is needed."
    )
    graded = asks(row(document, [0.4] * 12, min=0.5), kind="score", options=["poor", "fine", "good"], good=[])
    assert "the level that answers" in prose(graded)
    assert questions.quantity(graded, graded["measurement"]) == "level, 0 for poor to 1 for good"
    chosen = asks(row(document, [0.4] * 12, min=0.5), kind="choice", options=["a", "b", "c"], good=["a", "b"])
    assert questions.answer(chosen) == "probability of a or b"


def test_two_questions_to_one_model_are_two_columns_and_are_under_each_picture(
    browser: Any, document: dict[str, Any], tmp_path: Path
) -> None:
    found = copy.deepcopy(document)
    found["run"]["class_words"] = "dog"
    for lora in found["loras"]:
        for made, text in zip(lora["rows"], ("Is there a {class_words}?", "Is it whole?"), strict=False):
            asks(made, text=text)
            made["measurement"]["network"], made["measurement"]["against"] = "judge/1", ""
    assert len(experiments.columns(found["loras"])) == 3
    visit = Visit(browser, html.write(found, tmp_path).as_uri())
    card = visit.page.locator("#sheet .card").first
    text = card.text_content()  # its inner text is empty while it is out of sight
    assert "Is there a dog?" in text or "Is it whole?" in text
    assert card.locator(".answers span").count() == 1
    assert card.locator(".answers span").get_attribute("title") in ("Is there a dog?", "Is it whole?")
    card.click()
    assert "Is there a dog? probability of yes" in visit.page.inner_text("#compare-body")
    visit.context.close()


def test_the_count_agrees_with_the_row_s_value_and_limit(document: dict[str, Any]) -> None:
    """A share that passes never reads as one that does not, for every count and a dozen limits."""
    for bad in range(13):
        for allowed in range(13):
            values = [0.2] * bad + [0.9] * (12 - bad)
            found = row(document, values, stat="share_at_least", at=0.5, min=1 - allowed / 12)
            text = prose(found)
            assert text.startswith(f"{bad} of 12 images")
            assert text.endswith(f"at most {allowed} may." if allowed else "none may.")


def test_images_without_a_value_are_counted(document: dict[str, Any]) -> None:
    values: list[float | None] = [None] * 3 + [0.9] * 9
    faces = row(document, values, metric="arcface", stat="missing", max=0.1, value=0.25)
    assert prose(faces) == "3 of 12 images have no face; at most 1 may."
    lost = row(document, values, metric="arcface", min=0.5, max_missing=0.0)
    assert prose(lost) == "3 of 12 images have no face; none may."


def test_two_valued_metrics_are_counted_too(document: dict[str, Any]) -> None:
    copies = row(document, [0.0] * 10 + [1.0] * 2, metric="authenticity", min=0.84)
    assert prose(copies) == "10 of 12 images copy a training picture; at most 1 may."


def test_means_gains_worst_prompts_and_sets_are_told_apart(document: dict[str, Any]) -> None:
    mean = prose(row(document, [0.4] * 12, min=0.5))
    assert (
        mean == "On average, the likeness to the references (similarity) is 0.400; at least 0.500 is needed."
    )
    gain = row(document, [-0.03] * 12, metric="clip_score", gain=True, min=-0.01)
    assert "Compared with the base, the agreement with the prompt (clip_score) is 0.030 lower" in prose(gain)
    assert prose(gain).endswith("it may be at most 0.010 lower.")
    more = row(document, [0.01] * 12, metric="clip_score", gain=True, min=0.02)
    assert prose(more).endswith("0.010 higher on average; it must be at least 0.020 higher.")
    worst = row(document, [0.4] * 12, stat="worst_prompt", worst=["p3", 0.4], min=0.5)
    assert prose(worst).startswith("On the worst prompt, p3,")
    of_set = row(document, [], metric="fid", value=43.0, max=30.0, per_image=[], n=12)
    assert prose(of_set) == (
        "Over all images together, the distance from the references as a whole (fid) is 43.00; "
        "at most 30.00 is allowed."
    )


def test_too_close_to_tell_keeps_what_would_decide(document: dict[str, Any]) -> None:
    close = row(document, [0.5] * 12, "INCONCLUSIVE", min=0.5)
    close["reason"] = "mean similarity 0.500 straddles min 0.500; about 9 more prompts would probably decide"
    assert prose(close).endswith("That is too close to tell: about 9 more prompts would probably decide.")


def test_a_row_without_numbers_keeps_its_own_reason(document: dict[str, Any]) -> None:
    failed = row(document, [0.4], "ERROR", min=0.5) | {"measurement": None, "reason": "out of memory"}
    assert prose(failed) == "Out of memory."


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("PASS", "passed all"), ("FAIL", "did not pass"), ("ERROR", "passed its"), ("INCOMPLETE", "no verdict")],
)
def test_the_sentence_at_the_top_states_the_verdict_and_the_policy(
    document: dict[str, Any], outcome: str, words: str
) -> None:
    found = copy.deepcopy(document)
    found["loras"] = found["loras"][:1]
    found["loras"][0]["outcome"] = found["outcome"] = outcome
    text = " ".join(summary.sentences(found))
    assert words in text
    assert ("passed all" in text) == (outcome == "PASS")
    assert "policy gate, version abcdef99abcd" in text


def test_what_stopped_several_loras_is_said_for_each(run_of_steps: tuple[dict[str, Any], Path]) -> None:
    found = copy.deepcopy(run_of_steps[0])
    last = found["loras"][-1]
    last["outcome"] = "ERROR"
    for bad in last["rows"]:
        bad |= {"outcome": "ERROR", "reason": f"{last['path']} was never trained"}
    told = summary.summary(found)
    assert "passed" in told.opening
    assert f"{Path(last['path']).name} was never trained." in told.reasons
    assert not any(last["path"] in reason for reason in told.reasons)
    assert any(reason.startswith("step-0200.safetensors, ") for reason in told.reasons)


def test_endings_add_up_to_what_did_not_pass(document: dict[str, Any]) -> None:
    lora = copy.deepcopy(document["loras"][0])
    for made, outcome in zip(lora["rows"], ("FAIL", "INCONCLUSIVE", "ERROR"), strict=True):
        made |= {"outcome": outcome, "required": True}
    lora["outcome"] = "FAIL"
    said = summary.endings(lora, "3 required rows")
    assert said == "1 of 3 required rows failed, 1 could not be measured, and 1 is undecided"
    lora["outcome"] = "ERROR"
    said = summary.endings(lora, "3 required rows")
    assert said == "1 of 3 required rows could not be measured, 1 failed, and 1 is undecided"


def test_the_sentence_compares_with_the_last_release(run_of_steps: tuple[dict[str, Any], Path]) -> None:
    assert any(
        "the last release (old), 1 of 1 row is worse" in text for text in summary.sentences(run_of_steps[0])
    )


def test_a_picture_of_a_passing_mean_is_low_and_not_marked(document: dict[str, Any]) -> None:
    values: list[float | None] = [0.4] + [0.9] * 11
    for outcome, stat, weight in (
        ("PASS", "mean", marks.LOW),
        ("PASS", "worst_prompt", marks.LOW),
        ("FAIL", "mean", marks.COUNTS),
        ("PASS", "share_at_least", marks.COUNTS),
        ("PASS", "missing", marks.COUNTS),
    ):
        found = row(document, values, outcome, min=0.5, stat=stat, at=0.5)
        assert marks.weight(found, found["measurement"]) == weight


def test_the_three_pictures_are_the_ends_and_the_middle_of_the_row_that_matters(
    document: dict[str, Any], page_folder: Path
) -> None:
    failing = copy.deepcopy(document)
    failing["loras"], failing["ranking"] = failing["loras"][1:], None
    lora = failing["loras"][0]
    chosen = examples.chosen(failing, collect(failing))
    assert chosen is not None
    first = lora["rows"][0]
    assert first["check"] in chosen["rule"]
    values = dict(first["measurement"]["per_image"])
    picked = [values[figure["name"]] for figure in chosen["figures"]]
    there = sorted((v for v in values.values() if v is not None), reverse=first["direction"] == "higher")
    assert [figure["word"] for figure in chosen["figures"]] == ["Best", "Typical", "Worst"]
    assert picked == [there[0], there[len(there) // 2], there[-1]]
    first["measurement"]["per_image"][0][1] = None
    again = examples.chosen(failing, collect(failing))
    assert again is not None
    assert again["figures"][-1]["name"] == first["measurement"]["per_image"][0][0]
    tags = [a for tag, a in Parts(html.html(failing, page_folder / "words")).tags if tag == "button"]
    assert sum(a.get("class") == "picked" for a in tags) == 3


def test_pictures_without_a_value_for_each_are_not_chosen(document: dict[str, Any]) -> None:
    refused = copy.deepcopy(document)
    for lora in refused["loras"]:
        for one in lora["rows"]:
            one["measurement"] = None
    assert examples.chosen(refused, collect(refused)) is None
