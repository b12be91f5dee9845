"""``verify``: decide whether an attestation or a report releases a LoRA under a policy."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from lora_checks.commands import shared
from lora_checks.core.errors import ConfigError, LoraFileError, ReleaseError

if TYPE_CHECKING:
    from lora_checks.publish.release.claim import Claim
    from lora_checks.publish.release.wanted import Wanted

HELP = "decide whether an attestation or a report releases a LoRA under a policy"
ISSUER = "https://token.actions.githubusercontent.com"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lora", type=_path, metavar="LORA", help="the file to release")
    _add_claim(parser)
    _add_signer(parser)
    _add_demands(parser)


def _add_claim(parser: argparse.ArgumentParser) -> None:
    """Add what is verified, and under which policy."""
    add = parser.add_argument
    add("--policy", type=_path, required=True, metavar="DIR", help=shared.POLICY)
    add("--attestation", type=_path, metavar="FILE", help="attestation written by `attest`")
    add(
        "--report", type=_path, metavar="DIR", help="report folder to use instead of an attestation; unsigned"
    )
    add("--code", type=_path, metavar="DIR", help="checkout with the code that judged (default: this folder)")


def _add_signer(parser: argparse.ArgumentParser) -> None:
    """Add who must have signed it."""
    add = parser.add_argument
    add(
        "--key",
        type=_path,
        action="append",
        default=[],
        metavar="FILE",
        help="trusted public key; repeatable",
    )
    add(
        "--identity",
        default="",
        metavar="NAME",
        help="trusted signer without a key: a workflow's URL or an e-mail address",
    )
    add(
        "--issuer",
        default=ISSUER,
        metavar="URL",
        help="OIDC issuer of the identity (default: GitHub Actions)",
    )
    add("--trusted-root", type=Path, metavar="FILE", help="Sigstore's trusted root, if it cannot be fetched")


def _add_demands(parser: argparse.ArgumentParser) -> None:
    """Add what the run must have been."""
    add = parser.add_argument
    add("--base", default="", metavar="BASE", help="base that must have been used, or its identity")
    add("--lora-scale", default="1", metavar="SCALES", help="strengths it must have passed at (default: 1)")
    add(
        "--with-lora",
        "--lora-with",
        dest="with_lora",
        action="append",
        default=[],
        metavar="PATH",
        help="LoRA it must have been stacked on; repeatable",
    )
    add("--require", action="append", default=[], metavar="ROW", help="another row that must have passed")
    add(
        "--weights", action="store_true", help="also compare the networks' weights with those on this machine"
    )
    add("--approved", action="store_true", help="refuse what nobody approved with `lora-checks approve`")
    add("--max-age-days", type=_days, metavar="N", help="refuse a run that finished longer ago")


def run(options: argparse.Namespace) -> int:
    """Return 0 if the LoRA is released, or print every reason against it and return 1.

    Raises `ConfigError` (exit status 2) for a key or policy that cannot be read.
    """
    from lora_checks.core.words import count, printable
    from lora_checks.publish.release.differences import differences

    try:
        claim, by = _claim(options)
        asked = _wanted(options)
        reasons = differences(claim, asked)
    except ReleaseError as error:
        reasons = [printable(str(error))]
    if reasons:
        print(printable(f"NOT RELEASED: {options.lora}"))
        print("\n".join(f"- {sentence}" for sentence in reasons))
        return 1
    facts = [f"{options.lora} {asked.sha256[:12]}", count(len(claim.passed), "row")]
    facts += [f"policy {options.policy} {asked.policy.digest[:12]}", *filter(None, [claim.compared]), by]
    facts += [
        f"approved by {one.get('by', '-')} on {one.get('at', '-')[:10]}{_note(one.get('note', ''))}"
        for one in claim.approvals
    ]
    print(printable(f"RELEASED: {', '.join(facts)}"))
    return 0


def _note(text: str) -> str:
    return f" ({text})" if text else ""


def _claim(options: argparse.Namespace) -> tuple[Claim, str]:
    """Return the claim and its author, having verified the signature before reading anything else."""
    from lora_checks.publish.release import keyless, keys, reading, statement

    if (options.attestation is None) == (options.report is None):
        raise ConfigError("verify needs either --attestation FILE or --report DIR")
    if options.report is not None:
        if options.key or options.identity:
            raise ConfigError("--report is not signed: --key and --identity are for --attestation")
        return reading.claim_in(options.report, _sha256(options.lora)), f"unsigned report {options.report}"
    if bool(options.key) == bool(options.identity):
        raise ConfigError("--attestation needs a trusted signer: either --key FILE or --identity NAME")
    trusted = [keys.public_key(path) for path in options.key]
    content = _content(options.attestation)
    if options.identity:
        payload = keyless.opened(content, options.identity, options.issuer, options.trusted_root)
        return statement.decode(payload), f"signed by {options.identity}"
    payload, by = keys.opened(content, trusted)
    return statement.decode(payload), f"signed by key {by[:12]}"


def _wanted(options: argparse.Namespace) -> Wanted:
    from lora_checks.lora.candidates import companions, strengths
    from lora_checks.publish.release.wanted import wanted

    stacked = companions(options.with_lora, Path())
    return wanted(
        options.lora,
        options.policy,
        base=options.base,
        scales=strengths(options.lora_scale),
        companions=tuple((lora.sha256, lora.scale, str(lora.path)) for lora in stacked),
        require=tuple(options.require),
        weights=options.weights,
        max_age_days=options.max_age_days,
        approved=options.approved,
        code=options.code,
    )


def _sha256(lora: Path) -> str:
    from lora_checks.lora.bundles import lora_sha256

    try:
        return lora_sha256(lora)
    except LoraFileError as error:
        raise ReleaseError(f"{lora} {error}") from error
    except OSError as error:
        raise ReleaseError(f"{lora} could not be read ({error.strerror or error})") from error


def _content(path: Path) -> bytes:
    from lora_checks.publish.release.keys import MOST

    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise ReleaseError(f"the attestation {path} could not be read ({error.strerror or error})") from error
    if len(content) > MOST:
        raise ReleaseError(
            f"the attestation {path} is larger than {MOST} bytes, so lora_checks did not write it; "
            "name another file"
        )
    return content


def _path(text: str) -> Path:
    """Refuse an empty path: `Path("")` is the current folder, which an unset variable does not mean."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty (an unset variable?)")
    return Path(text)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not (math.isfinite(days) and days > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number of days above 0")
    return days
