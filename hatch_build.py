"""Make what PyPI shows of the README: absolute links, and the project's addresses.

The repository's address is not written down in the project. The release workflow, which knows it, sets
``REPOSITORY_URL``. A build without it has no addresses, and its README has only the text of links to the
repository's files.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "REPOSITORY_URL"  # such as https://github.com/OWNER/lora_checks
IMAGE = re.compile(r"!\[([^]]*)\]\((?!https?:)([^)\s]+)\)")
LINK = re.compile(r"(?<!!)\[([^]]*)\]\((?!https?:|mailto:|#)([^)\s]+)\)")


class Readme(MetadataHookInterface):
    """Fill in the fields that pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set readme and urls."""
        repository, tag = os.environ.get(VARIABLE, "").rstrip("/"), f"v{metadata['version']}"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": readme(text, repository, tag)}
        metadata["urls"] = urls(repository, tag) if repository else {}


def readme(text: str, repository: str, tag: str) -> str:
    """Return the README with its links to files of the repository made absolute, or without them.

    Args:
        text: The README as it is in the repository.
        repository: Its address on GitHub; "" if it is not known.
        tag: The version that the links lead to.
    """
    if not repository:
        return LINK.sub(r"\1", IMAGE.sub("", text))
    text = IMAGE.sub(rf"![\1]({repository}/raw/{tag}/\2)", text)
    return LINK.sub(rf"[\1]({repository}/blob/{tag}/\2)", text)


def urls(repository: str, tag: str) -> dict[str, str]:
    """Return the project's addresses by the names that PyPI knows."""
    return {
        "Source": repository,
        "Documentation": f"{repository}/blob/{tag}/docs/index.md",
        "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
