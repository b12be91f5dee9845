"""What a release asks for, computed here and now from the file and the policy, by the gate's own code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lora_checks.core.errors import LoraChecksError, ReleaseError
from lora_checks.core.files import file_sha256
from lora_checks.core.records import Base, Policy
from lora_checks.diffusion import base as bases
from lora_checks.images.decoding import image_set
from lora_checks.metrics import BUILTIN
from lora_checks.policy.reading import load_policy
from lora_checks.publish.release.claim import OWN_ROWS
from lora_checks.record.pictures import folder


@dataclass(frozen=True, slots=True)
class Wanted:
    file: Path
    sha256: str
    policy: Policy
    parts: Mapping[str, str]  # of the policy, those that decide: part -> SHA-256
    folders: Mapping[str, str]  # of pictures: name -> SHA-256 of their content
    required: tuple[str, ...]  # rows without which nothing is released
    no_worse: tuple[str, ...] = ()  # rows of `regression:`; not where nothing was released before
    scales: tuple[float, ...] = (1.0,)
    base: str = ""  # identity or model that stands for the policy's own
    companions: tuple[tuple[str, float, str], ...] = ()  # SHA-256, strength and path
    networks: Mapping[str, str] | None = None  # of required rows: what measures them; None: not compared
    max_age_days: float | None = None
    own: Mapping[str, str] = field(default_factory=dict)  # required row -> its metric, where not of the gate
    code: Path = Path()  # the checkout that the code of the run is compared with


def wanted(
    lora: Path,
    policy: Path,
    *,
    base: str = "",
    scales: tuple[float, ...] = (1.0,),
    companions: tuple[tuple[str, float, str], ...] = (),
    require: tuple[str, ...] = (),
    weights: bool = False,
    max_age_days: float | None = None,
    code: Path | None = None,
) -> Wanted:
    """Raises `ReleaseError` for a LoRA that cannot be read, `ConfigError` for a policy that is wrong."""
    try:
        sha256 = file_sha256(lora)
    except OSError as error:
        raise ReleaseError(f"{lora} could not be read ({error.strerror or error})") from error
    read = load_policy(policy)
    rows = tuple(row.name for row in read.thresholds if row.required)
    return Wanted(
        file=lora,
        sha256=sha256,
        policy=read,
        parts=read.deciding,
        folders={name: folder(image_set(name, path))["digest"] for name, path in read.folders.items()},
        required=(*OWN_ROWS, *rows, *require),
        no_worse=tuple(one.check for one in read.regression),
        scales=scales,
        base=base,
        companions=companions,
        networks=_networks(read) if weights else None,
        max_age_days=max_age_days,
        own={r.name: r.metric for r in read.thresholds if r.required and r.metric not in BUILTIN},
        code=code or Path(),
    )


def _networks(policy: Policy) -> dict[str, str]:
    """Required row -> identity of metric and network, with the digest of the weights on this machine."""
    from lora_checks import metrics
    from lora_checks import networks as extractors
    from lora_checks.metrics.of_pixels import OfPixels

    found = {}
    for row in [row for row in policy.thresholds if row.required]:
        metric = metrics.get(row.metric)
        slot = extractors.slot_of(metric, row.network, policy.networks)
        identity = OfPixels(metric).id if metric.takes in ("picture", "pair") else "pixels"
        if slot:
            identity = extractors.build(slot, policy.networks[slot], "cpu").id
        found[row.name] = f"{metric.name}/{metric.version} {identity}"
    return found


def base_difference(claimed: str, policy: Base, given: str = "") -> str:
    """Why the base that was used is not the one that is asked for; "" where it is.

    ``given`` stands for the policy's: an identity as reports have it, or a model as --base takes it. A base
    on this machine is hashed; of one on the hub the commit is compared where the policy names it.
    """
    if given and (given == claimed or not Path(given).exists()):
        return "" if given == claimed else f"base {claimed}, not {given}"
    asked = replace(policy, model=str(Path(given).absolute()), revision=None) if given else policy
    local = Path(asked.model)
    if local.is_absolute():
        try:
            found = bases.resolve(asked).identity
        except (LoraChecksError, OSError) as error:
            return f"the base cannot be compared here ({error}); give its identity with --base"
        return "" if found == claimed else f"base {claimed[:12]}, not {found[:12]} ({local})"
    model, _, commit = claimed.split(" ", 1)[0].partition("@")
    if model != asked.model or not commit:
        return f"base {claimed}, not {asked.model}"
    if asked.revision and _is_commit(asked.revision) and commit != asked.revision:
        return f"base {claimed}, not {asked.model}@{asked.revision}"
    return ""


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and all(letter in "0123456789abcdef" for letter in revision)
