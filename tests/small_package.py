"""A package that a test makes and installs: a wheel of one module with entry points."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path


def install(
    folder: Path, name: str, version: str, source: str, entry_points: dict[str, str], site: str = "site"
) -> Path:
    """Install a module and return the folder that belongs on PYTHONPATH.

    Args:
        folder: Where the wheel and the installed files go.
        name: Of the distribution and its only module.
        version: Of the distribution.
        source: The module's text.
        entry_points: Group -> a line such as "shades = shades:Shades".
        site: Folder under ``folder`` that gets the installed files; an earlier version there is replaced.
    """
    target = folder / site
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--upgrade"]
    wheel = _wheel(folder, name, version, source, entry_points)
    subprocess.run([*command, "--target", target, wheel], check=True, capture_output=True, timeout=120)
    return target


def _wheel(folder: Path, name: str, version: str, source: str, entry_points: dict[str, str]) -> Path:
    about = f"{name}-{version}.dist-info"
    groups = "".join(f"[{group}]\n{line}\n" for group, line in entry_points.items())
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": groups,
    }
    lines = [f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in files.items()]
    files[f"{about}/RECORD"] = "".join(lines) + f"{about}/RECORD,,\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
