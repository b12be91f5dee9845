"""What comes from outside stays text: in a script tag, and in what the browser may run or load."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

# In a script tag only "<" can end or comment it; the others are escaped for whoever copies it elsewhere.
UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"})


def script_json(value: object) -> str:
    """JSON for ``<script type="application/json">``. ASCII: U+2028 and lone surrogates are escapes."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(UNSAFE)


def policy(scripts: Sequence[str], live: bool = False) -> str:
    """The page's Content-Security-Policy: only these scripts, by their hashes, and no network.

    A page that is served ``live`` may ask its own server for changes. Styles may stand inline, because Plot
    writes some; they can load nothing either.
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
