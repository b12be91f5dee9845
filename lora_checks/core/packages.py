"""The packages that this one needs, and how to install a missing one."""

from __future__ import annotations

import re
from importlib import metadata

NAME = "lora-checks"
# Enough for every command except calibrate, selftest and stats; the gate needs all dependencies.
LIGHT = ("filelock", "jinja2", "numpy", "pillow", "pyyaml")
# Modules whose name differs from their package's.
PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "google": "protobuf",
    "in_toto_attestation": "in-toto-attestation",
    "open_clip": "open_clip_torch",
    "pytorch_fid": "pytorch-fid",
    "yaml": "pyyaml",
}


def version() -> str:
    """Return the installed version, or "unknown" if the package is not installed."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "unknown"


def light_requirements(extra: str = "") -> list[str]:
    """Return the requirements of the commands that load no model, as pyproject.toml states them.

    Args:
        extra: One of the package's extras, such as ``release``, whose packages are included.

    Raises:
        KeyError: The package has no such extra, or is not installed.
    """
    try:
        declared = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        raise KeyError(f"{NAME} is not installed") from None
    parsed = [(entry.partition(";")[0].strip(), _extra(entry)) for entry in declared]
    of_extra = [requirement for requirement, belongs in parsed if extra and belongs == extra]
    if extra and not of_extra:
        known = sorted({belongs for _, belongs in parsed if belongs})
        raise KeyError(f"there is no extra '{extra}'; known: {', '.join(known)}")
    light = [requirement for requirement, belongs in parsed if not belongs and name(requirement) in LIGHT]
    return sorted(light) + sorted(of_extra)


def name(requirement: str) -> str:
    """Return the package name in a requirement: "numpy" for "numpy>=1.26"."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _extra(entry: str) -> str:
    """Return the extra that a requirement belongs to, or "" if it is always installed."""
    match = re.search(r"""extra\s*==\s*['"]([^'"]+)""", entry)
    return match[1] if match else ""


def missing(error: ModuleNotFoundError) -> str:
    """Return a sentence that names the missing package and the command that installs it."""
    module = (error.name or "").partition(".")[0]
    package = PACKAGES.get(module, module)
    return (
        f"{package} is not installed here; install it, or everything that the gate needs: pip install {NAME}"
    )
