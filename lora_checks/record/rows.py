"""Put the document's rows, LoRAs and run into the words that all reports share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from lora_checks.core import quantity
from lora_checks.core.quantity import missing_word
from lora_checks.core.words import count, number
from lora_checks.judge.verdict import limits, nearest_words
from lora_checks.lora.steps import PICTURES_OF
from lora_checks.record.shapes import Document, Lora, Row, Run
from lora_checks.record.shapes.rows import Calibration, Details, Measurement

ORDER = ("ERROR", "FAIL", "INCONCLUSIVE", "PASS")
HEADINGS = ("verdict", "check", "metric", "value", "95 % interval", "limits", "note", "90 %, 99 % pass at")


def urgency(row: Row) -> tuple[int, bool, float]:
    """Return a sort key: the worst verdict first, required before optional, then the nearest to its limit."""
    threshold, margin = row["threshold"], row["margin"]
    distance = float("-inf")
    if threshold is not None and margin is not None:
        sizes = [abs(limit) for limit in (threshold["min"], threshold["max"]) if limit]
        distance = margin / min(sizes, default=1.0)
    return ORDER.index(row["outcome"]), not row["required"], distance


Columns = tuple[str, str, str, str, str, str, str, str]  # as `HEADINGS`


def columns(row: Row) -> Columns:
    """Return verdict, check, metric, value, interval, limits, note and power, as text."""
    threshold, measurement = row["threshold"], row["measurement"]
    check = row["check"] if row["required"] else f"{row['check']} (optional)"
    lowest, highest = (threshold["min"], threshold["max"]) if threshold else (None, None)
    if measurement is None:
        described = reason(row) if row["outcome"] == "PASS" else ""  # the row "file" describes the file
        metric = threshold["metric"] if threshold else ""
        return (row["outcome"], check, metric, "", "", limits(lowest, highest), described, "")
    value = measurement["value"]
    return (
        row["outcome"],
        check,
        label(measurement),
        number(value, (lowest, highest)),
        interval(row),
        limits(lowest, highest, value),
        note(row),
        ", ".join(power(row)),
    )


def label(m: Measurement) -> str:
    """Return what was measured, as a cell of a table."""
    return quantity.label(m["metric"], m["stat"], m["at"], m["gain"], m["on"])


def power(row: Row) -> list[str]:
    """Return the true values at which 90 and 99 % of runs pass the row; [] if no bound judges the row."""
    threshold = row["threshold"]
    limits = [threshold["min"], threshold["max"]] if threshold else []
    return [_at(need["least"], need["most"], limits) for need in row.get("power") or ()]


def _at(least: float | None, most: float | None, limits: Sequence[float | None]) -> str:
    """Return "0.508", or "0.210 to 0.290" between two limits."""
    return " to ".join(number(value, limits) for value in (least, most) if value is not None)


def power_sentences(lora: Lora) -> list[str]:
    """Say what a LoRA needs to pass each row nearly always, and how often it then passes all rows."""
    checks: dict[str, list[str]] = {}  # grouped by what they need, because many shares need the same
    for row in lora["rows"]:
        at = power(row)
        if row["required"] and len(at) == 2:
            checks.setdefault(f"{at[0]} ({at[1]})", []).append(row["check"])
    needs = "; ".join(f"{_listed(names)} {at}" for at, names in checks.items())
    needs = f"power: 90 % (99 %) of runs on other prompts pass with a true {needs}" if needs else ""
    together = lora.get("power")
    if not together:
        return [needs] if needs else []
    just = [
        f"one with the {_percent(at['chance'])} values in {_percent(at['passes'])}" for at in together["at"]
    ]
    like = f"a LoRA as it was found passes in {_percent(together['as_found'])} of runs"
    return [needs, f"all rows together: {', '.join([like, *just])}"]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def interval(row: Row) -> str:
    """Return what the row was judged by: the interval, or the one bound that decided."""
    m, threshold = row["measurement"], row["threshold"]
    if m is None or threshold is None or m["low"] is None or m["high"] is None:
        return ""
    low, high, lowest, highest = m["low"], m["high"], threshold["min"], threshold["max"]
    if m["sides"] == 1 and row["outcome"] != "INCONCLUSIVE":
        if (lowest is not None and low >= lowest) or (highest is not None and low > highest):
            return f">= {number(low, (lowest, highest))}"
        if (lowest is not None and high < lowest) or (highest is not None and high <= highest):
            return f"<= {number(high, (lowest, highest))}"
    return f"[{number(low, (lowest, highest))}, {number(high, (lowest, highest))}]"


def note(row: Row) -> str:
    """Return what a person asks next: the worst prompt if the row failed, the spread if it passed."""
    m, threshold, details = row["measurement"], row["threshold"], row["details"]
    assert m is not None, "columns() asks only about rows with a measurement"
    moved = _was_and_is(details) if details.get("before") is not None else ""
    if moved and row["outcome"] == "PASS":  # the spread of a change says little
        return moved
    parts = [row["band"], moved]
    if row["outcome"] != "PASS":
        copied = nearest_words(m["nearest"], m["n"]) if m["stat"] != "missing" else ""
        parts += [f"worst: {m['worst'][0]} {number(m['worst'][1])}" if m["worst"] else "", copied]
    elif m["extremes"]:
        parts.append(f"images {number(m['extremes'][0])} to {number(m['extremes'][1])}")
    if m["stat"] != "missing" and (m["missing"] or missing_word(m["metric"]) == "no face"):
        parts.append(f"{missing_word(m['metric'])} in {m['missing']}")
    parts += _floors(m)
    if m.get("noise") is not None:
        parts.append(f"asked again: {number(m['noise'])} apart")
    parts.append(m.get("note", ""))
    parts.append(calibration(threshold["calibrated_on"] if threshold else None))
    return ", ".join(part for part in parts if part)


def _floors(m: Measurement) -> list[str]:
    """Return what the metric gives where nothing differs: the pictures and the images against themselves."""
    parts = [f"floor {number(m['floor'])}"] if m["floor"] is not None else []
    if m["floor"] is None and m.get("themselves") is not None:
        parts.append(f"{m['against'].partition(' ')[0]} {number(m['themselves'])}")
    again = [number(value) for value in m.get("reseeded") or ()]
    return parts + ([f"{m['reseeded_by']} {' to '.join(again)}"] if again else [])


def _was_and_is(details: Details) -> str:
    """Return "0.619 -> 0.588" for a row that judges a change."""
    before, value = details["before"], details["value"]
    return f"{number(before, (value,))} -> {number(value, (before,))}"


def calibration(limits: Calibration | None) -> str:
    """Return "calibrated on 3 good, 4 bad (margin 0.120, 32 images)"; "" for limits that a person set."""
    if limits is None:
        return ""
    sets = [f"{len(limits['good'])} good"] + ([f"{len(limits['bad'])} bad"] if limits["bad"] else [])
    more = [f"margin {number(limits['margin'])}"] if limits["margin"] is not None else []
    more += [count(limits["n"], "image")] if limits["n"] is not None else []
    return f"calibrated on {', '.join(sets)}" + (f" ({', '.join(more)})" if more else "")


def not_run(check: str) -> Columns:
    """Return the columns of a required check that has no verdict."""
    return ("NOT RUN", check, "", "", "", "", "", "")


def words(row: Row) -> str:
    """Return the check and its reason."""
    return f"{row['check']}: {reason(row)}"


def reason(row: Row) -> str:
    """Return the row's reason without the folder of images, which reports name once for all rows."""
    text = str(row["reason"])
    return text.removesuffix(f"; images in {row['images']}")


def title(lora: Lora) -> str:
    """Return the file's name, with the strength if the run judges several strengths."""
    of_group = lora.get("facts", {}).keys() & {PICTURES_OF}  # one of several in a folder
    file = str(lora["name"]) if of_group else PurePath(lora["path"]).name or str(lora["name"])
    swept = "scale" in lora and str(lora["name"]).endswith(f":{lora['scale']:g}")
    return f"{file} at {lora['scale']:g}" if swept else file


def tally(lora: Lora) -> str:
    """Return "2 of 5 rows", the required rows that ended as the LoRA did, then what else went wrong."""
    counts: Counter[str] = Counter(row["outcome"] for row in lora["rows"] if row["required"])
    counts["INCOMPLETE"] = len(lora["missing"])
    outcome = lora["outcome"]
    others = [f"{counts[word]} {word}" for word in ORDER[:3] if word != outcome and counts[word]]
    if outcome != "INCOMPLETE" and lora["missing"]:
        others.append(f"{len(lora['missing'])} not run")
    total = sum(counts.values())
    if _is_spoiled(lora):
        return f"{counts['PASS']} of {count(total, 'row')} passed, but the run went wrong"
    main = f"{counts[outcome]} of {count(total, 'row')}"
    return ", ".join([f"{main} not run" if outcome == "INCOMPLETE" else main, *others])


def setting(run: Run) -> str:
    """Return "base miniature-sd 3f2a91  16 prompts x 2 seeds", as far as the run is known."""
    base, prompts, seeds = run.get("base"), run.get("prompts"), run.get("seeds")
    parts = [f"base {base['label']}"] if base and base["label"] else []
    if prompts is not None and seeds is not None:
        parts.append(f"{count(len(prompts), 'prompt')} x {count(len(seeds), 'seed')}")
    most = run.get("until_decided")
    if most is not None:
        parts.append(f"up to {count(most, 'image')}")
    parts += [f"with {lora['name']}:{lora['scale']:g}" for lora in run.get("companions", ())]
    return "  ".join(parts)


def caveat(run: Run) -> str:
    """Return what a verdict on pictures made elsewhere leaves open; "" if the gate made the pictures."""
    elsewhere = run.get("elsewhere")
    return elsewhere["caveat"] if elsewhere else ""


def errors(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Return each reason of an ERROR once, with the checks it stopped: a refused file stops them all."""
    checks: dict[str, list[str]] = {}
    for row in rows:
        if row["outcome"] == "ERROR":
            checks.setdefault(reason(row), []).append(columns(row)[1])
    return list(checks.items())


def spoiled_by(document: Document) -> str:
    """Say why a run in which every required row passed is not a PASS; "" if a row says so itself."""
    failures = document["run"].get("other_failures") or []
    if not failures or not all(map(_is_spoiled, document["loras"])):
        return ""
    more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return f"every required row passed, but this went wrong: {failures[0]}{more}"


def _is_spoiled(lora: Lora) -> bool:
    required = [row for row in lora["rows"] if row["required"]]
    passed = not lora["missing"] and all(row["outcome"] == "PASS" for row in required)
    return passed and lora["outcome"] != "PASS"


def headline(document: Document) -> str:
    """Return "PASS: good.safetensors, 5 of 5 rows" or "FAIL: 4 of 9 LoRAs passed; 3 failed, 2 undecided"."""
    loras = document["loras"]
    if not loras:
        return f"{document['outcome']}: no LoRA was judged"
    if spoiled := spoiled_by(document):
        return f"{document['outcome']}: {spoiled}"
    if len(loras) == 1:
        end = f"; {caveat(document['run'])}" if caveat(document["run"]) else ""
        return f"{document['outcome']}: {title(loras[0])}, {tally(loras[0])}{end}"
    return f"{document['outcome']}: {standing(loras)}"


def standing(loras: Sequence[Lora]) -> str:
    """Return "all 9 LoRAs passed" or "4 of 9 LoRAs passed; 3 failed, 2 undecided"."""
    counts = Counter(lora["outcome"] if started(lora) else "" for lora in loras)
    if counts["PASS"] == len(loras):
        return f"all {len(loras)} LoRAs passed"
    others = [f"{counts[outcome]} {word}" for outcome, word in _STANDINGS.items() if counts[outcome]]
    return f"{counts['PASS']} of {len(loras)} LoRAs passed; {', '.join(others)}"


def started(lora: Lora) -> bool:
    """Tell whether any row of the LoRA was judged."""
    return bool(lora["rows"])


_STANDINGS = {
    "FAIL": "failed",
    "INCONCLUSIVE": "undecided",
    "ERROR": "in error",
    "INCOMPLETE": "not finished",
    "": "not started",
}
