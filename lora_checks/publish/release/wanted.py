"""Compute what a release requires from the LoRA file and the policy, with the gate's own code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lora_checks.core.errors import ConfigError, LoraChecksError, LoraFileError, ReleaseError
from lora_checks.core.records import Base, Policy
from lora_checks.core.records.labels import labels_id
from lora_checks.diffusion import base as bases
from lora_checks.diffusion.base.additions import as_asked
from lora_checks.images.sets import image_set
from lora_checks.lora.bundles import lora_sha256
from lora_checks.metrics import BUILTIN
from lora_checks.policy.reading import load_policy
from lora_checks.publish.release.claim import OWN_ROWS
from lora_checks.record.pictures import folder


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a release requires of a claim."""

    file: Path
    sha256: str
    policy: Policy
    parts: Mapping[str, str]  # parts of the policy that decide a verdict -> SHA-256
    folders: Mapping[str, str]  # folders of pictures: name -> SHA-256 of their content
    required: tuple[str, ...]  # rows without which nothing is released
    no_worse: tuple[str, ...] = ()  # rows of `regression:`; ignored for a first release
    scales: tuple[float, ...] = (1.0,)
    base: str = ""  # identity or model to require instead of the policy's
    companions: tuple[tuple[str, float, str], ...] = ()  # SHA-256, strength, path
    networks: Mapping[str, str] | None = None  # required row -> what measures it; None: not compared
    max_age_days: float | None = None
    own: Mapping[str, str] = field(default_factory=dict)  # required row -> its metric, if custom
    approved: bool = False  # whether a person must have approved it
    code: Path = Path()  # checkout to compare the run's code with


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
    approved: bool = False,
    code: Path | None = None,
) -> Wanted:
    """Compute what the release of ``lora`` under ``policy`` requires; the other arguments are `Wanted`'s.

    Raises `ReleaseError` for a LoRA that cannot be read, `ConfigError` for an invalid policy.
    """
    loaded = load_policy(policy)
    rows = tuple(row.name for row in loaded.thresholds if row.required)
    return Wanted(
        file=lora,
        sha256=_sha256(lora),
        policy=loaded,
        parts=loaded.deciding,
        folders={name: folder(image_set(name, path))["digest"] for name, path in loaded.folders.items()},
        required=(*OWN_ROWS, *rows, *require),
        no_worse=tuple(row.check for row in loaded.regression),
        scales=scales,
        base=base,
        companions=companions,
        networks=_networks(loaded) if weights else None,
        max_age_days=max_age_days,
        own={r.name: r.metric for r in loaded.thresholds if r.required and r.metric not in BUILTIN},
        approved=approved,
        code=code or Path(),
    )


def _sha256(lora: Path) -> str:
    try:
        return lora_sha256(lora)
    except LoraFileError as error:
        raise ReleaseError(f"{lora} {error}") from error
    except OSError as error:
        raise ReleaseError(f"{lora} could not be read ({error.strerror or error})") from error


def _networks(policy: Policy) -> dict[str, str]:
    """Map each required row to its metric and network, with the digest of the weights on this machine."""
    from lora_checks import metrics
    from lora_checks import networks as extractors
    from lora_checks.metrics.of_pixels import OfPixels

    identities = {}
    for row in [row for row in policy.thresholds if row.required]:
        metric = metrics.of_row(row)
        slot = extractors.slot_of(metric, row.network, policy.networks)
        identity = OfPixels(metric).id if metric.takes in ("picture", "pair") else "pixels"
        if slot:
            settings = {**policy.networks[slot], "device": "cpu"}  # the card may be on another machine
            identity = extractors.build(slot, settings, "cpu").id
        if metric.takes == "labelled":
            identity += labels_id(policy.labels.get(row.against, ()))
        identities[row.name] = f"{metric.name}/{metric.version} {identity}"
    return identities


def base_difference(claimed: str, policy: Base, override: str = "") -> str:
    """Return how the base that was used differs from the required one, or "".

    A base on this machine is hashed; for one on the hub the commit is compared if the policy names it.

    Args:
        claimed: Identity of the base that was used.
        policy: The base that the policy names.
        override: A base to require instead: an identity from a report, or a model as --base takes it.
    """
    if override and (override == claimed or not Path(override).exists()):
        return "" if override == claimed else f"base {claimed}, not {override}"
    asked = replace(policy, model=str(Path(override).absolute()), revision=None) if override else policy
    local = Path(asked.model)
    if local.is_absolute():
        try:
            identity = bases.resolve(asked).identity
        except (LoraChecksError, OSError) as error:
            return f"the base cannot be compared here ({error}); pass its identity with --base"
        return "" if identity == claimed else f"base {claimed[:12]}, not {identity[:12]} ({local})"
    model, _, commit = claimed.split(" ", 1)[0].partition("@")
    if model != asked.model or not commit:
        return f"base {claimed}, not {asked.model}"
    if asked.revision and _is_commit(asked.revision) and commit != asked.revision:
        return f"base {claimed}, not {asked.model}@{asked.revision}"
    return _addition_difference(claimed, asked)


def _addition_difference(claimed: str, asked: Base) -> str:
    """Return how quantised networks or the VAE of a hub base differ from the policy's, or ""."""
    try:
        same = as_asked(claimed, asked)
    except ConfigError as error:
        return f"the base cannot be compared here ({error}); pass its identity with --base"
    return (
        "" if same else f"base {claimed}, whose quantised networks or VAE are not those that the policy names"
    )


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and all(letter in "0123456789abcdef" for letter in revision)
