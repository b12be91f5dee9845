"""Compare a claim with what a release requires: a sentence for each difference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from lora_checks.core.files import file_sha256
from lora_checks.core.words import count, printable
from lora_checks.publish.release.claim import NOT_COMPARED, PASSED, Claim, Resource, sha256_of, test_name
from lora_checks.publish.release.wanted import Wanted, base_difference
from lora_checks.record import code


def differences(claim: Claim, asked: Wanted, now: datetime | None = None) -> list[str]:
    """Return every reason why the claim does not release the LoRA, the most basic first.

    Args:
        claim: What the report or attestation claims.
        asked: What the release requires.
        now: The time to compute the claim's age at; by default the current time.
    """
    sentences = [
        *_subject(claim, asked),
        *_result(claim),
        *_rows(claim, asked),
        *_policy(claim, asked),
        *_folders(claim, asked),
        *_making(claim, asked),
        *_networks(claim, asked),
        *_code(claim, asked),
        *_age(claim, asked, now or datetime.now(UTC)),
        *_approvals(claim, asked),
    ]
    return [printable(sentence) for sentence in sentences]


def _subject(claim: Claim, asked: Wanted) -> Iterator[str]:
    if claim.sha256 != asked.sha256:
        yield (
            f"it is about another file: {claim.name} with SHA-256 {claim.sha256[:12] or '-'}, "
            f"and {asked.file} has {asked.sha256[:12]}"
        )


def _result(claim: Claim) -> Iterator[str]:
    if claim.result != PASSED:
        unfinished = "" if _finished(claim) else ": its run did not finish"
        reason = f": {', '.join(claim.failed)} did not pass" if claim.failed else unfinished
        yield f"the result is {claim.result or 'missing'}, not PASSED{reason}"
    elif claim.failed:
        yield f"it contradicts itself: PASSED, although {', '.join(claim.failed)} failed"


def _rows(claim: Claim, asked: Wanted) -> Iterator[str]:
    """Check that every row that the policy requires today passed at every strength."""
    if "elsewhere" in claim.configuration:
        yield "its pictures were made elsewhere: that the LoRA made them is not proven"
    elif not claim.scales:
        yield "it does not state the strength that the LoRA was judged at"
    if claim.scales and (lacking := [scale for scale in asked.scales if scale not in claim.scales]):
        judged = ", ".join(f"{scale:g}" for scale in claim.scales)
        yield f"it was judged at strength {judged}, not at {', '.join(f'{scale:g}' for scale in lacking)}"
    scales = [scale for scale in asked.scales if scale in claim.scales or not claim.scales]
    no_worse = () if claim.compared == NOT_COMPARED else asked.no_worse
    names = [test_name(row, scale, claim.scales) for scale in scales for row in (*asked.required, *no_worse)]
    absent = [name for name in dict.fromkeys(names) if name not in (*claim.passed, *claim.failed)]
    if absent:
        yield f"it lacks {count(len(absent), 'row')} that must pass: {', '.join(absent)}"


def _policy(claim: Claim, asked: Wanted) -> Iterator[str]:
    """Compare the policy part by part, to name what differs; the whole digest covers the rest."""
    where = asked.policy.directory
    differing = [part for part, sha256 in asked.parts.items() if _sha256(claim, f"policy/{part}") != sha256]
    for part in differing:
        was = _sha256(claim, f"policy/{part}")[:12] or "not stated"
        yield f"it was judged by other {part} than {where} has: {was}, not {asked.parts[part][:12]}"
    if not differing and _sha256(claim, "policy") != asked.policy.digest:
        was = _sha256(claim, "policy")[:12] or "not stated"
        yield f"it was judged by another policy than {where}: {was}, not {asked.policy.digest[:12]}"


def _folders(claim: Claim, asked: Wanted) -> Iterator[str]:
    for name, sha256 in asked.folders.items():
        if (was := _sha256(claim, f"folder/{name}")) != sha256:
            digests = f"{was[:12] or 'not stated'}, not {sha256[:12]}"
            yield f"it was judged by other pictures in '{name}': {digests}"


def _making(claim: Claim, asked: Wanted) -> Iterator[str]:
    """Compare the base and the LoRAs that it was stacked on."""
    if "elsewhere" not in claim.configuration:
        base = claim.configuration.get("base", Resource(""))
        identity = base.notes.get("identity", "")
        if not identity or base.sha256 != sha256_of(identity):
            yield "it does not state its base"
        elif difference := base_difference(identity, asked.policy.prompts.base, asked.base):
            yield f"another base: {difference}"
    stacked = {
        (lora.sha256, lora.notes.get("scale", "")): name.rpartition("/")[2]
        for name, lora in claim.configuration.items()
        if name.startswith("companion/")
    }
    named = {(sha256, f"{scale:g}"): path for sha256, scale, path in asked.companions}
    for key in stacked.keys() - named.keys():
        yield f"it was judged together with {stacked[key]} at {key[1]}; name that with --with-lora"
    for key in named.keys() - stacked.keys():
        yield f"it was not judged together with {named[key]} at {key[1]}"


def _networks(claim: Claim, asked: Wanted) -> Iterator[str]:
    for row, identity in (asked.networks or {}).items():
        was = claim.configuration.get(f"network/{row}", Resource(""))
        if was.sha256 != sha256_of(identity):
            yield f"another network measured {row}: {was.notes.get('identity', 'not stated')}, not {identity}"


def _code(claim: Claim, asked: Wanted) -> Iterator[str]:
    """Check that the code that judged is the code of this checkout."""
    stated = [module for name, module in claim.configuration.items() if name.startswith("code/")]
    for module in stated:
        name = module.notes.get("file", "")
        path = code.found(name, (asked.code, asked.policy.directory))
        if path is None:
            digest = module.sha256[:12]
            yield f"it was judged with {name} ({digest}), which is not here; locate it with --code DIR"
        elif (here := file_sha256(path)) != module.sha256:
            yield f"it was judged with other code: {name} was {module.sha256[:12]}, and {path} is {here[:12]}"
    for row, metric in asked.own.items():
        if not any(f"metric {metric}" in module.notes.get("for", "").split(", ") for module in stated):
            yield f"it does not state the code that measured {row} ({metric}, which is not a built-in metric)"


def _age(claim: Claim, asked: Wanted, now: datetime) -> Iterator[str]:
    if asked.max_age_days is None:
        return
    text = _finished(claim)
    try:
        days = (now - datetime.fromisoformat(text)).total_seconds() / 86400
    except (ValueError, TypeError):  # not a time, or without a time zone
        yield "it does not state when the run finished, which --max-age-days needs"
        return
    if days > asked.max_age_days:
        yield f"it is {math.ceil(days)} days old, more than {asked.max_age_days:g}: gate the LoRA again"
    elif days < -1:
        yield f"it was made in the future ({text}): the clock of one of the machines is wrong"


def _approvals(claim: Claim, asked: Wanted) -> Iterator[str]:
    """Refuse what was approved although it did not pass: an approval adds to a PASS and replaces none."""
    for approval in claim.approvals:
        if reason := approval.get("despite", ""):
            verdict = approval.get("outcome", "no verdict")
            yield (
                f"{approval.get('by', '-')} approved it DESPITE {verdict} ({reason}), "
                "and that releases nothing"
            )
    if asked.approved and not claim.approvals:
        yield "nobody approved it: `lora-checks approve REPORT --by NAME`, then attest again"


def _finished(claim: Claim) -> str:
    return claim.configuration.get("report.json", Resource("")).notes.get("finished", "")


def _sha256(claim: Claim, name: str) -> str:
    return claim.configuration.get(name, Resource("")).sha256
