"""Sign statements in DSSE envelopes with a key of securesystemslib: Ed25519, ECDSA or RSA."""

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

BUNDLE = "application/vnd.dev.sigstore.bundle"  # prefix of every Sigstore bundle's media type
MOST = 8 * 1024 * 1024  # bytes of an envelope; a report of a thousand rows needs a tenth


def new_pair(path: Path) -> Path:
    """Write a new Ed25519 key pair: the private key to ``path`` (mode 0600), the public key to ``path``.pub.

    Returns the path of the public key. Raises `ConfigError` if either file exists: a key that signed a
    release must not be lost.
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
    """Return ``payload`` in a DSSE envelope (JSON), signed with a PEM key (PKCS#8, not encrypted)."""
    signing = _signing()
    try:
        private = signing.load_private(key.read_bytes(), None)
        signer = signing.CryptoSigner(private)
    except OSError as error:
        raise ConfigError(f"--key: {key} could not be read ({error.strerror or error})") from error
    except Exception as error:  # cryptography and securesystemslib raise a dozen unrelated types
        raise ConfigError(
            f"--key: {key} is not a private PEM key without a passphrase ({first_line(error)}); "
            "create one with: lora-checks attest --new-key FILE"
        ) from error
    envelope = signing.Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=1, sort_keys=True).encode() + b"\n"


def public_key(path: Path) -> Any:
    """Read a public PEM key. Raises `ConfigError`."""
    signing = _signing()
    try:
        content = path.read_bytes()
        return signing.SSlibKey.from_crypto(signing.load_public(content))
    except OSError as error:
        raise ConfigError(f"--key: {path} could not be read ({error.strerror or error})") from error
    except Exception as error:
        hint = "it is the private key; verify with the public key (.pub)" if b"PRIVATE" in content else ""
        raise ConfigError(f"--key: {path} is not a public PEM key; {hint or first_line(error)}") from error


def opened(content: bytes, trusted: Sequence[Any]) -> tuple[bytes, str]:
    """Verify an envelope; return its payload and the id of the trusted key that signed it.

    Raises `ReleaseError`. Nothing in the payload is read before its signature is verified.
    """
    signing = _signing()
    data = strict_json(content, "the attestation")
    if str(data.get("mediaType", "")).startswith(BUNDLE):
        raise ReleaseError(
            "the attestation is a Sigstore bundle, signed without a key: name its signer with --identity NAME"
        )
    for name in ("payload", "payloadType", "signatures"):
        if name not in data:
            raise ReleaseError(f"the attestation is not a DSSE envelope: it has no '{name}'")
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
        raise ReleaseError(f"the attestation is not a DSSE envelope: {first_line(error)}") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ReleaseError(f"the attestation holds '{envelope.payload_type}', not an in-toto statement")
    return bytes(envelope.payload), by


def _signing() -> SimpleNamespace:
    """Import securesystemslib's classes and cryptography's PEM readers."""
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
