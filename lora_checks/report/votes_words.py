"""Put people's votes into the sentences and tables that terminal, page, Markdown and card share."""

from __future__ import annotations

from collections.abc import Sequence

from lora_checks.core.words import count, number, printable
from lora_checks.record.shapes.votes import CountedShare, Estimate, Votes, Weighting

Table = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]  # headings, rows
LORAS = ("LoRA", "preferred", "95 % interval", "strength", "95 % interval", "compared", "surely above")
RATERS = ("rater", "answers", "ties", "skipped", "same again", "left", "seconds")
ROWS = ("check", "metric", "pairs", "AUC", "95 % interval", "Spearman", "95 % interval", "note")


def sentences(votes: Votes) -> list[str]:
    """Return what the votes say, the most important first; none ends in a full stop."""
    return [*findings(votes), *cautions(votes)]


def findings(votes: Votes) -> list[str]:
    """Return what was asked, and what follows from it."""
    parts = [_asked(votes), _order(votes), *_real(votes), *_agreement(votes)]
    parts += [_weighted(votes["weighting"])] if votes["weighting"] else []
    parts += [_labels(votes)] if votes["good"] else []
    return [printable(part) for part in parts]


def cautions(votes: Votes) -> list[str]:
    """Return what speaks against believing it."""
    return [printable(note) for note in votes["notes"]]


def _asked(votes: Votes) -> str:
    people = "1 person" if len(votes["raters"]) == 1 else f"{len(votes['raters'])} people"
    about = f"{count(votes['pairs'], 'pair')} of pictures of {count(votes['prompts'], 'prompt')}"
    return f"{people} answered “{votes['question']}” about {about}; with repeats, {votes['answers']} answers"


def _order(votes: Votes) -> str:
    if votes["no_order"]:
        return f"no order of the LoRAs: {votes['no_order']}"
    first = votes["loras"][0]
    share, below = percent(first["share"]), ", ".join(first["surely_above"]) or "no other"
    surely = "" if first["share"]["low"] is None else f"; surely above {below}"
    return f"preferred most: {first['lora']}, to another LoRA in {share} of comparisons{surely}"


def _real(votes: Votes) -> list[str]:
    told = [f"{one['lora']} in {percent(one['share'])} of {one['answers']}" for one in votes["real"]]
    return [f"taken for real (50 % where nobody can tell): {', '.join(told)} answers"] if told else []


def _agreement(votes: Votes) -> list[str]:
    agreement = votes["agreement"]
    if agreement is None:
        return []
    return [
        f"the raters agree with Krippendorff's alpha {estimate(agreement['alpha'])} over "
        f"{count(agreement['pairs'], 'pair')} that two or more of them judged"
    ]


def _weighted(weighting: Weighting) -> str:
    right = percent(weighting["right"])
    alone = f"the best row alone, {weighting['best_row']}, {percent(weighting['best_row_right'])}"
    told = f"the rows together predict {right} of answers on prompts that were held out, {alone}"
    return told if weighting["weights"] else f"{told}: not surely more than chance, so they give no weights"


def _labels(votes: Votes) -> str:
    return f"labels for calibrate: good ({', '.join(votes['good'])}), bad ({', '.join(votes['bad'])})"


def loras(votes: Votes) -> Table:
    """Return the order of the LoRAs, the most preferred first."""
    rows = [
        (
            lora["lora"], percent(lora["share"], False), percent_ends(lora["share"]),
            number(lora["strength"]["value"]), ends(lora["strength"]), str(lora["compared"]),
            ", ".join(lora["surely_above"]),
        )
        for lora in votes["loras"]
    ]  # fmt: skip
    return _trimmed(LORAS, rows)


def raters(votes: Votes) -> Table:
    """Return the raters, and how far each agrees with themselves."""
    rows = [
        (
            one["name"], str(one["answers"]), str(one["ties"]), str(one["skipped"]),
            _hits(one["same_again"]), _hits(one["left"]), f"{one['seconds']:.1f}",
        )
        for one in votes["raters"]
    ]  # fmt: skip
    return _trimmed(RATERS, rows)


def rows(votes: Votes) -> Table:
    """Return the policy's rows, those that agree most with the people first."""
    ranked = sorted(votes["rows"], key=lambda row: -(row["auc"]["value"] if row["auc"] else -1.0))
    found = [
        (
            row["check"], row["label"], str(row["pairs"]), *_both(row["auc"]), *_both(row["spearman"]),
            row["why"],
        )
        for row in ranked
    ]  # fmt: skip
    return _trimmed(ROWS, found)


def _both(one: Estimate | None) -> tuple[str, str]:
    return (number(one["value"]), ends(one)) if one else ("", "")


def estimate(one: Estimate) -> str:
    """Return "0.412 [0.201, 0.623]"."""
    return f"{number(one['value'])} {ends(one)}".strip()


def ends(one: Estimate) -> str:
    """Return "[0.201, 0.623]"; "" without an interval."""
    return "" if one["low"] is None else f"[{number(one['low'])}, {number(one['high'])}]"


def percent(one: Estimate, interval: bool = True) -> str:
    """Return "78 % [65, 88]"."""
    return f"{100 * one['value']:.0f} % {percent_ends(one) if interval else ''}".strip()


def percent_ends(one: Estimate) -> str:
    if one["low"] is None or one["high"] is None:
        return ""
    return f"[{100 * one['low']:.0f}, {100 * one['high']:.0f}]"


def _hits(share: CountedShare | None) -> str:
    return f"{share['hits']} of {share['of']}" if share else ""


def ranking(weighting: Weighting) -> list[str]:
    """Return the weights as ``ranking:`` of thresholds.yaml."""
    lines = [
        f"  {one['check']}: {{weight: {one['weight']:g}, from: {one['from']:g}, to: {one['to']:g}}}"
        for one in weighting["weights"]
    ]
    return ["ranking:", *lines]


def _trimmed(headings: Sequence[str], body: Sequence[Sequence[str]]) -> Table:
    """Leave out the columns that are empty in every row."""
    keep = [i for i in range(len(headings)) if any(row[i] for row in body)]
    return tuple(headings[i] for i in keep), [tuple(row[i] for i in keep) for row in body]


def aligned(table: Table) -> list[str]:
    """Return a table as lines of text."""
    headings, body = table
    lines = [[printable(cell) for cell in row] for row in (headings, *body)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
