"""Statements in DSSE envelopes, signed by a key: Ed25519, ECDSA or RSA, as securesystemslib knows them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lora_checks.core.errors import ConfigError, PrerequisiteError, ReleaseError, first_line
from lora_checks.core.files import write_if_absent
from lora_checks.core.strict_json import strict_json
from lora_checks.publish.release.statement import INSTALL, PAYLOAD_TYPE

BUNDLE = "application/vnd.dev.sigstore.bundle"  # begins the media type of every Sigstore bundle
MOST = 8 * 1024 * 1024  # bytes of an envelope; a report of a thousand rows is a tenth of it


def new_pair(path: Path) -> Path:
    """Write a new Ed25519 pair: the private key at ``path`` (mode 0600), the public one beside it (.pub).

    Raises `ConfigError` if either file exists: a key that signed a release must not be lost.
    """
    signing = _signing()
    signer = signing.CryptoSigner.generate_ed25519()
    private = signing.load_private(signer.private_bytes, None)
    public = Path(f"{path}.pub")
    if path.exists() or public.exists():
        raise ConfigError(f"--new-key: {path if path.exists() else public} exists; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(signer.private_bytes)
        write_if_absent(public, private.public_key().public_bytes(*signing.public_pem))
    except OSError as error:
        raise ConfigError(f"--new-key: {path} could not be written ({error.strerror or error})") from error
    return public


def sign(payload: bytes, key: Path) -> bytes:
    """The envelope as JSON, signed with a private key in PEM (PKCS#8, not encrypted)."""
    signing = _signing()
    try:
        private = signing.load_private(key.read_bytes(), None)
        signer = signing.CryptoSigner(private)
    except OSError as error:
        raise ConfigError(f"--key: {key} could not be read ({error.strerror or error})") from error
    except Exception as error:  # cryptography and securesystemslib raise a dozen unrelated types
        raise ConfigError(
            f"--key: {key} is no private key in PEM without a passphrase ({first_line(error)}); "
            "make one with: lora-checks attest --new-key FILE"
        ) from error
    envelope = signing.Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=1, sort_keys=True).encode() + b"\n"


def public_key(path: Path) -> Any:
    """A public key in PEM. Raises `ConfigError`."""
    signing = _signing()
    try:
        content = path.read_bytes()
        return signing.SSlibKey.from_crypto(signing.load_public(content))
    except OSError as error:
        raise ConfigError(f"--key: {path} could not be read ({error.strerror or error})") from error
    except Exception as error:
        hint = "that is the private key; verify with the public one (.pub)" if b"PRIVATE" in content else ""
        raise ConfigError(f"--key: {path} is no public key in PEM; {hint or first_line(error)}") from error


def opened(content: bytes, trusted: Sequence[Any]) -> tuple[bytes, str]:
    """The payload of an envelope that one of the trusted keys has signed, and the id of that key.

    Raises `ReleaseError`, and nothing of the payload is believed before that is known.
    """
    signing = _signing()
    data = strict_json(content, "the attestation")
    if str(data.get("mediaType", "")).startswith(BUNDLE):
        raise ReleaseError(
            "the attestation is a Sigstore bundle, signed without a key: say by --identity NAME"
        )
    for name in ("payload", "payloadType", "signatures"):
        if name not in data:
            raise ReleaseError(f"the attestation is no DSSE envelope: it has no '{name}'")
    if not data["signatures"]:
        raise ReleaseError("the attestation is not signed")
    try:
        envelope = signing.Envelope.from_dict(data)
        ids = ", ".join(keyid[:12] for keyid in envelope.signatures)
        known = {key.keyid for key in trusted} & set(envelope.signatures)
        if not known:
            wanted = ", ".join(key.keyid[:12] for key in trusted)
            raise ReleaseError(f"the attestation is signed by an unknown key {ids}; trusted: {wanted}")
        by = next(iter(envelope.verify(list(trusted), 1)))
    except signing.VerificationError as error:
        raise ReleaseError(
            "the signature is wrong: the attestation was changed after it was signed, "
            f"or key {ids} did not sign it"
        ) from error
    except ReleaseError:
        raise
    except Exception as error:  # base64, hex, missing fields of a signature
        raise ReleaseError(f"the attestation is no DSSE envelope: {first_line(error)}") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ReleaseError(f"the attestation holds '{envelope.payload_type}', not a statement of in-toto")
    return bytes(envelope.payload), by


def _signing() -> SimpleNamespace:
    """securesystemslib's classes and cryptography's readers of PEM."""
    try:
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            PublicFormat,
            load_pem_private_key,
            load_pem_public_key,
        )
        from securesystemslib.dsse import Envelope
        from securesystemslib.exceptions import VerificationError
        from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]
    except ImportError as error:
        raise PrerequisiteError(f"attestations need securesystemslib ({error}); {INSTALL}") from error
    return SimpleNamespace(
        Envelope=Envelope,
        VerificationError=VerificationError,
        CryptoSigner=CryptoSigner,
        SSlibKey=SSlibKey,
        load_private=load_pem_private_key,
        load_public=load_pem_public_key,
        public_pem=(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )
