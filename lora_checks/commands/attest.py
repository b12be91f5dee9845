"""``attest``: sign a report's verdict as an in-toto statement."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lora_checks.core.errors import ConfigError

HELP = "sign a report's verdict on a LoRA as an in-toto attestation"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "report",
        type=Path,
        nargs="?",
        metavar="REPORT_DIR",
        help="folder with the report.json of a finished run",
    )
    add("--key", type=Path, metavar="FILE", help="private key to sign with: PEM, PKCS#8, no passphrase")
    add(
        "--keyless",
        action="store_true",
        help="sign as this CI job through Sigstore; adds an entry to a public log",
    )
    add("--lora", default="", metavar="NAME", help="LoRA to attest: name, file or SHA-256")
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the attestation to FILE (default: next to report.json)",
    )
    add("--new-key", type=Path, metavar="FILE", help="only create a key pair: FILE and FILE.pub")


def run(options: argparse.Namespace) -> int:
    """Return 0 if the attested result is PASSED, 1 if FAILED (signed too, but releases nothing)."""
    if options.new_key is not None:
        return _new_pair(options)
    if options.report is None or (options.key is None) == (not options.keyless):
        raise ConfigError("attest needs REPORT_DIR and either --key FILE or --keyless")
    from lora_checks.core.files import write_atomically
    from lora_checks.core.words import printable
    from lora_checks.publish.release import keyless, keys, reading, statement

    claim = reading.claim_in(options.report, options.lora, _run_url())
    payload = statement.encode(claim)
    signed = keyless.sign(payload) if options.keyless else keys.sign(payload, options.key)
    ending = "sigstore" if options.keyless else "intoto"
    out = options.out or options.report / f"{claim.name}.{ending}.json"
    try:
        write_atomically(out, signed)
    except OSError as error:
        raise ConfigError(f"--out: {out} could not be written ({error.strerror or error})") from error
    print(printable(f"{claim.result}: {claim.name} {claim.sha256[:12]}, attested in {out}"))
    return int(claim.result != "PASSED")


def _new_pair(options: argparse.Namespace) -> int:
    from lora_checks.publish.release import keys

    if options.report is not None or options.key is not None or options.keyless:
        raise ConfigError("--new-key only creates a key pair; sign in a second command")
    public = keys.new_pair(options.new_key)
    print(f"private key {options.new_key}: keep it secret, for example in your CI's secret store")
    print(f"public key {public}: give it to whoever verifies")
    return 0


def _run_url() -> str:
    """Return the web page of this CI job on GitHub Actions or GitLab CI, or ""."""
    env = os.environ
    if env.get("GITHUB_RUN_ID"):
        repository = f"{env.get('GITHUB_SERVER_URL')}/{env.get('GITHUB_REPOSITORY')}"
        return f"{repository}/actions/runs/{env['GITHUB_RUN_ID']}"
    return env.get("CI_JOB_URL", "")
