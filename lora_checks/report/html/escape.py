"""Keep outside text harmless: escape JSON in script tags, and restrict what the browser may load."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

# Only "<" can end a script tag or start a comment; the rest protects text that is copied elsewhere.
UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"})


def script_json(value: object) -> str:
    """Return ASCII JSON for ``<script type="application/json">``; U+2028 and lone surrogates are escaped."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(UNSAFE)


def policy(scripts: Sequence[str], live: bool = False) -> str:
    """Return the page's Content-Security-Policy: only these scripts, by hash, and no network.

    A ``live`` page may also poll its own server. Inline styles are allowed because Plot writes some; they
    cannot load anything.
    """
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    rules = (
        "default-src 'none'",
        f"script-src {hashes}",
        "style-src 'unsafe-inline'",
        "img-src data: 'self' file:",
        f"connect-src {chr(39)}{'self' if live else 'none'}{chr(39)}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
