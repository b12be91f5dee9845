"""What the renderers share: a row of the document put into columns of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from lora_checks.core import quantity
from lora_checks.core.quantity import missing_word
from lora_checks.core.words import count, number
from lora_checks.judge.verdict import limits, nearest_words

ORDER = ("ERROR", "FAIL", "INCONCLUSIVE", "PASS")
HEADINGS = ("verdict", "check", "metric", "value", "95 % interval", "limits", "note", "90 %, 99 % pass at")
Row = Mapping[str, Any]


def urgency(row: Row) -> tuple[int, bool, float]:
    """Sort key: worst verdict, required before optional, then distance in terms of the limit's size."""
    threshold, margin = row["threshold"], row["margin"]
    distance = float("-inf")
    if threshold is not None and margin is not None:
        sizes = [abs(limit) for limit in (threshold["min"], threshold["max"]) if limit]
        distance = margin / min(sizes, default=1.0)
    return ORDER.index(row["outcome"]), not row["required"], distance


def columns(row: Row) -> tuple[str, str, str, str, str, str, str, str]:
    """Verdict, check, metric, value, interval, limits, note and power, as text."""
    threshold, measurement = row["threshold"] or {}, row["measurement"]
    check = row["check"] if row["required"] else f"{row['check']} (optional)"
    lowest, highest = threshold.get("min"), threshold.get("max")
    if measurement is None:
        found = reason(row) if row["outcome"] == "PASS" else ""  # the file's own row: what it is
        return (
            row["outcome"],
            check,
            threshold.get("metric", ""),
            "",
            "",
            limits(lowest, highest),
            found,
            "",
        )
    value = measurement["value"]
    return (
        row["outcome"],
        check,
        quantity.label(*(measurement[key] for key in ("metric", "stat", "at", "gain", "on"))),
        number(value, (lowest, highest)),
        interval(row),
        limits(lowest, highest, value),
        note(row),
        ", ".join(power(row)),
    )


def power(row: Row) -> list[str]:
    """The true values at which 90 and 99 % of runs pass the row; [] of one that is not judged by a bound."""
    limits = [(row["threshold"] or {}).get(side) for side in ("min", "max")]
    return [_at(one["least"], one["most"], limits) for one in row.get("power") or ()]


def _at(least: float | None, most: float | None, limits: list[float | None]) -> str:
    """ "0.508", or "0.210 to 0.290" between two limits."""
    return " to ".join(number(value, limits) for value in (least, most) if value is not None)


def power_sentences(lora: Row) -> list[str]:
    """What a LoRA needs to pass each row nearly always, and how often it then passes all rows."""
    named: dict[str, list[str]] = {}  # many shares need the same
    for row in lora["rows"]:
        at = power(row)
        if row["required"] and len(at) == 2:
            named.setdefault(f"{at[0]} ({at[1]})", []).append(row["check"])
    told = [f"{' and '.join(filter(None, (', '.join(c[:-1]), c[-1])))} {at}" for at, c in named.items()]
    found = lora.get("power")
    needs = f"power: 90 % (99 %) of runs on other prompts pass with a true {'; '.join(told)}" if told else ""
    if not found:
        return [needs] if needs else []
    just = [
        f"one with the {_percent(one['chance'])} values in {_percent(one['passes'])}" for one in found["at"]
    ]
    like = f"a LoRA as it was found passes in {_percent(found['as_found'])} of runs"
    return [needs, f"all rows together: {', '.join([like, *just])}"]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def interval(row: Row) -> str:
    """What the row was judged by: of a one-sided pair of bounds, the one that decided."""
    m, lowest, highest = row["measurement"], row["threshold"]["min"], row["threshold"]["max"]
    low, high = m["low"], m["high"]
    if low is None or high is None:
        return ""
    if m["sides"] == 1 and row["outcome"] != "INCONCLUSIVE":
        if (lowest is not None and low >= lowest) or (highest is not None and low > highest):
            return f">= {number(low, (lowest, highest))}"
        if (lowest is not None and high < lowest) or (highest is not None and high <= highest):
            return f"<= {number(high, (lowest, highest))}"
    return f"[{number(low, (lowest, highest))}, {number(high, (lowest, highest))}]"


def note(row: Row) -> str:
    """What a person looks for next: the worst prompt where it failed, the spread where it passed."""
    m, before = row["measurement"], row["details"].get("before")
    if before is not None and row["outcome"] == "PASS":  # a change, whose own spread says little
        return _was_and_is(row["details"])
    parts = [row["band"], "" if before is None else _was_and_is(row["details"])]
    if row["outcome"] != "PASS":
        copied = nearest_words(m["nearest"], m["n"]) if m["stat"] != "missing" else ""
        parts += [f"worst: {m['worst'][0]} {number(m['worst'][1])}" if m["worst"] else "", copied]
    elif m["extremes"]:
        parts.append(f"images {number(m['extremes'][0])} to {number(m['extremes'][1])}")
    if m["stat"] != "missing" and (m["missing"] or missing_word(m["metric"]) == "no face"):
        parts.append(f"{missing_word(m['metric'])} in {m['missing']}")
    parts += _of_themselves(m)
    parts.append(calibration(row["threshold"]["calibrated_on"]))
    return ", ".join(part for part in parts if part)


def _of_themselves(m: Row) -> list[str]:
    """What the same metric says where nothing differs: of the pictures compared with, and of the images."""
    parts = [f"floor {number(m['floor'])}"] if m["floor"] is not None else []
    if m["floor"] is None and m.get("themselves") is not None:
        parts.append(f"{m['against'].partition(' ')[0]} {number(m['themselves'])}")
    again = [number(value) for value in m.get("reseeded") or ()]
    return parts + ([f"{m['reseeded_by']} {' to '.join(again)}"] if again else [])


def _was_and_is(details: Row) -> str:
    """ "0.619 -> 0.588", of a row that judges a change."""
    before, value = details["before"], details["value"]
    return f"{number(before, (value,))} -> {number(value, (before,))}"


def calibration(found: Row | None) -> str:
    """ "calibrated on 3 good, 4 bad (margin 0.120, 32 images)"."""
    if found is None:
        return ""
    sets = [f"{len(found['good'])} good"] + ([f"{len(found['bad'])} bad"] if found["bad"] else [])
    more = [f"margin {number(found['margin'])}"] if found["margin"] is not None else []
    more += [count(found["n"], "image")] if found["n"] is not None else []
    return f"calibrated on {', '.join(sets)}" + (f" ({', '.join(more)})" if more else "")


def not_run(check: str) -> tuple[str, str, str, str, str, str, str, str]:
    """The columns of a required check that has no verdict."""
    return ("NOT RUN", check, "", "", "", "", "", "")


def words(row: Row) -> str:
    return f"{row['check']}: {reason(row)}"


def reason(row: Row) -> str:
    """Without the folder, which is named once for all rows."""
    text = str(row["reason"])
    return text.removesuffix(f"; images in {row['images']}")


def title(lora: Row) -> str:
    """The file, and its strength where the run has more than one."""
    file = PurePath(lora["path"]).name or str(lora["name"])
    swept = "scale" in lora and str(lora["name"]).endswith(f":{lora['scale']:g}")
    return f"{file} at {lora['scale']:g}" if swept else file


def tally(lora: Row) -> str:
    """ "2 of 5 rows", counting required rows that ended as the LoRA did, then the other trouble."""
    counts = Counter(row["outcome"] for row in lora["rows"] if row["required"])
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


def setting(run: Row) -> str:
    """ "base miniature-sd 3f2a91  16 prompts x 2 seeds", as far as the run says so."""
    base, seeds = run.get("base") or {}, run.get("seeds")
    parts = [f"base {base['label']}"] if base.get("label") else []
    if run.get("prompts") is not None and seeds is not None:
        number_of_seeds = seeds if isinstance(seeds, int) else len(seeds)
        parts.append(f"{count(len(run['prompts']), 'prompt')} x {count(number_of_seeds, 'seed')}")
    if run.get("until_decided") is not None:
        parts.append(f"up to {count(run['until_decided'], 'image')}")
    parts += [f"with {lora['name']}:{lora['scale']:g}" for lora in run.get("companions", ())]
    return "  ".join(parts)


def caveat(run: Row) -> str:
    """What a verdict on pictures made elsewhere does not say; "" where the gate made them."""
    return str((run.get("elsewhere") or {}).get("caveat", ""))


def errors(rows: list[Row]) -> list[tuple[str, list[str]]]:
    """Each reason of an ERROR once, with the checks it stopped: a refused file stops them all."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["outcome"] == "ERROR":
            found.setdefault(reason(row), []).append(columns(row)[1])
    return list(found.items())


def spoiled_by(document: Row) -> str:
    """Why a run in which every required row passed is not a PASS; "" where the rows say it themselves."""
    failures = document["run"].get("other_failures") or []
    if not failures or not all(map(_is_spoiled, document["loras"])):
        return ""
    more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return f"every required row passed, but this went wrong: {failures[0]}{more}"


def _is_spoiled(lora: Row) -> bool:
    required = [row for row in lora["rows"] if row["required"]]
    passed = not lora["missing"] and all(row["outcome"] == "PASS" for row in required)
    return passed and lora["outcome"] != "PASS"


def headline(document: Row) -> str:
    """ "PASS: good.safetensors, 5 of 5 rows" or "FAIL: 3 of 6 LoRAs did not pass"."""
    loras = document["loras"]
    if not loras:
        return f"{document['outcome']}: no LoRA was judged"
    if spoiled := spoiled_by(document):
        return f"{document['outcome']}: {spoiled}"
    if len(loras) == 1:
        end = f"; {caveat(document['run'])}" if caveat(document["run"]) else ""
        return f"{document['outcome']}: {title(loras[0])}, {tally(loras[0])}{end}"
    refused = sum(lora["outcome"] != "PASS" for lora in loras)
    ending = f"{refused} of {len(loras)} LoRAs did not pass" if refused else f"all {len(loras)} LoRAs passed"
    return f"{document['outcome']}: {ending}"
