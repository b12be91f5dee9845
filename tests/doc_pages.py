"""The pages for users, README and docs/, as their fences: which commands they have, and what those print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OF_THEIR_OWN = (  # tests/docs/test_release_docs.py and test_own_domain_page.py run these
    *(DOCS / "release.md", DOCS / "approval.md", DOCS / "how-to" / "own-domain.md"),
)
PAGES = [
    ROOT / "README.md",
    *(
        page
        for page in sorted(DOCS.rglob("*.md"))
        if page not in OF_THEIR_OWN and page.parent.name != "decisions"
    ),
]


class Fence(NamedTuple):
    page: Path
    kind: str  # the whole info string: "sh", "sh gpu", "console"
    text: str

    @property
    def commands(self) -> list[str]:
        """Each command of the fence; installing is CI's own first step."""
        parts = [part.strip() for line in self.text.splitlines() for part in line.split("&&")]
        return [part for part in parts if part and not part.startswith("pip install")]


def fences() -> Iterator[Fence]:
    """Every fence of every page, in order."""
    for page in PAGES:
        for kind, text in re.findall(
            r"^```([^\n]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S
        ):
            yield Fence(page, kind, text)


def commands(*kinds: str) -> list[str]:
    """Each command once, however many pages have it, in the order of the pages."""
    return list(
        dict.fromkeys(command for fence in fences() if fence.kind in kinds for command in fence.commands)
    )


def shown() -> Iterator[tuple[str, Fence]]:
    """Each output with the last command of the fence before it."""
    before = Fence(ROOT, "", "")
    for fence in fences():
        if fence.kind == "console":
            same_page = before.page == fence.page and before.kind.startswith("sh")
            yield (before.commands[-1] if same_page else ""), fence
        before = fence


def outputs(command: str) -> list[str]:
    """What the pages show after a command."""
    return [fence.text for after, fence in shown() if after == command]
