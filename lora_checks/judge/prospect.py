"""Say before a run what a LoRA must truly be to pass its rows with `rule: bound`, from the policy alone.

A share's power is exact, as in `stats.power`. That of a mean needs the spread of the prompts' values, which
only a run can measure, so it is said in standard deviations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lora_checks import metrics
from lora_checks.core.errors import LoraChecksError
from lora_checks.core.records import Policy, Threshold
from lora_checks.core.words import count
from lora_checks.judge import reach
from lora_checks.judge.row_fit import is_share
from lora_checks.policy import arms
from lora_checks.stats import power
from lora_checks.stats.intervals import CONFIDENCE, MIN_PROMPTS


def sentences(policy: Policy) -> list[str]:
    """Return what it takes to pass the rows, those that need the same in one sentence.

    Rows that are judged by their value, and rows that no LoRA can pass, have no part in it.
    """
    rows: dict[str, list[str]] = defaultdict(list)
    for row, needed in _each(policy):
        rows[needed].append(row.name)
    return [
        f"{', '.join(names)}: {'each ' if len(names) > 1 else ''}{needed}" for needed, names in rows.items()
    ]


def _each(policy: Policy) -> Iterator[tuple[Threshold, str]]:
    seeds = len(policy.prompts.seeds)
    for row in policy.thresholds:
        try:
            metric = metrics.of_row(row)
        except LoraChecksError:
            continue  # said of the row
        prompts = arms.number_of(policy.prompts, row.on) // seeds
        if row.rule != "bound" or prompts < MIN_PROMPTS:
            continue
        if not is_share(row, metric):
            yield row, mean_need(prompts)
        elif not reach.is_difference(row):
            sentence = share_need(prompts, *reach.as_shares(row, metric))
            if sentence:
                yield row, sentence


def share_need(prompts: int, least: float | None, most: float | None) -> str:
    """Say how many of the prompts have to count or may count, and which true share nearly always passes.

    Args:
        prompts: Their number; images of one prompt count as one, which is on the safe side.
        least: The row's `min:` as a share of images.
        most: Its `max:`.

    Returns:
        The sentence, or "" if no number of prompts passes.
    """
    level = (1 - CONFIDENCE) / (1 if least is None or most is None else 2)
    ends = power.accepted_hits(prompts, level, "bound", least, most)
    if ends is None:
        return ""
    wanted = [f"at least {ends[0]}"] if least is not None else []
    wanted += [f"at most {ends[1]}"] if most is not None else []
    text = f"passes with {' and '.join(wanted)} of {count(prompts, 'prompt')} counted"
    shares = [power.share_needed(ends, prompts, chance, least, most) for chance in power.CHANCES]
    said = [" to ".join(f"{end:.2g}" for end in share if end is not None) for share in shares if share]
    if len(said) < len(power.CHANCES):
        return text
    return f"{text}: in 90 % (99 %) of runs if the true share is {said[0]} ({said[1]})"


def mean_need(prompts: int) -> str:
    """Say how far inside its limit a mean has to be, in standard deviations of the prompts' values."""
    inside = [power.inside_limit(prompts, 1 - CONFIDENCE, chance) for chance in power.CHANCES]
    return (
        f"passes in 90 % (99 %) of runs if the true value is inside its limit by about {inside[0]:.2f} "
        f"({inside[1]:.2f}) standard deviations of the prompts' values"
    )
