"""Sign statements with the OIDC identity of a CI job through Sigstore, without a key.

Signing gets a certificate from Sigstore's servers and adds an entry to a public log, which names the
repository and the workflow. Verifying needs a trusted root: Sigstore's own, fetched and cached, or a file.
"""

from __future__ import annotations

from pathlib import Path

from lora_checks.core.errors import ConfigError, PrerequisiteError, ReleaseError, first_line
from lora_checks.publish.release.statement import PAYLOAD_TYPE

INSTALL = "install it with: pip install 'lora-checks[keyless]'"
ISSUER = "https://token.actions.githubusercontent.com"  # of GitHub Actions


def sign(payload: bytes) -> bytes:
    """Return ``payload`` in a Sigstore bundle (JSON). Raises `PrerequisiteError` without an OIDC identity."""
    try:
        from sigstore import dsse
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityToken, detect_credential
        from sigstore.sign import SigningContext
    except ImportError as error:
        raise PrerequisiteError(f"--keyless needs sigstore ({error}); {INSTALL}") from error
    try:
        token = detect_credential()
        if token is None:
            raise PrerequisiteError(
                "--keyless: this process has no identity (OIDC); run it in a CI job that may request one "
                "(GitHub: permissions: id-token: write), or sign with --key"
            )
        context = SigningContext.from_trust_config(ClientTrustConfig.production())
        with context.signer(IdentityToken(token)) as signer:
            return signer.sign_dsse(dsse.Statement(payload)).to_json().encode() + b"\n"
    except PrerequisiteError:
        raise
    except Exception as error:  # from the network, Fulcio, Rekor or the identity
        raise PrerequisiteError(f"--keyless: Sigstore did not sign: {first_line(error)}") from error


def opened(content: bytes, identity: str, issuer: str = ISSUER, root: Path | None = None) -> bytes:
    """Verify a Sigstore bundle and return its payload.

    Args:
        content: The bundle.
        identity: Who must have signed it: an e-mail address, or the URL of a workflow with its ref.
        issuer: The OIDC issuer that must have certified the identity.
        root: A trusted root to use instead of Sigstore's own.

    Raises:
        ReleaseError: The bundle is malformed, or signed by someone else.
    """
    try:
        from sigstore.models import Bundle, TrustedRoot
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity
    except ImportError as error:
        raise PrerequisiteError(f"--identity needs sigstore ({error}); {INSTALL}") from error
    try:
        bundle = Bundle.from_json(content)
    except Exception as error:  # from pydantic, base64 or X.509
        raise ReleaseError(f"the attestation is not a Sigstore bundle: {first_line(error)}") from error
    try:
        verifier = (
            Verifier.production() if root is None else Verifier(trusted_root=TrustedRoot.from_file(str(root)))
        )
    except Exception as error:
        problem = (
            "Sigstore's trusted root could not be fetched" if root is None else f"--trusted-root: {root}"
        )
        raise ConfigError(f"{problem}: {first_line(error)}") from error
    try:
        kind, payload = verifier.verify_dsse(bundle, Identity(identity=identity, issuer=issuer))
    except Exception as error:
        raise ReleaseError(f"the signature is not by {identity}: {first_line(error)}") from error
    if kind != PAYLOAD_TYPE:
        raise ReleaseError(f"the attestation holds '{kind}', not an in-toto statement")
    return bytes(payload)
