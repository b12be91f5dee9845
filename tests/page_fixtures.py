"""A page of two LoRAs, one of a run of steps, and their parts, for the page's tests."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from page_world import Document, page_document

from lora_checks.report import html


class Parts(HTMLParser):
    """The tags of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")
            self._in_script = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data

    def data(self, name: str) -> Any:
        places = [attributes.get("id") for tag, attributes in self.tags if tag == "script"]
        return json.loads(self.scripts[places.index(name)])


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def document(page_folder: Path) -> Document:
    """Of two LoRAs, one of which fails: to be copied before it is changed."""
    return page_document(page_folder)


@pytest.fixture(scope="session")
def page(document: Document, page_folder: Path) -> Path:
    return html.write(document, page_folder / "report")


@pytest.fixture(scope="session")
def parts(page: Path) -> Parts:
    return Parts(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def run_of_steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Document, Path]:
    folder = tmp_path_factory.mktemp("steps")
    document = page_document(folder, ("step-0300", "step-0200", "step-0100"), prompts=8, seeds=1)
    document["baseline"] = {
        "path": "gate/approved.json", "sha256": "ab" * 32, "lora": "old", "lora_sha256": "cd" * 32,
        "scale": 1.0,
        "finished": "2026-11-02T10:00:00+00:00", "policy": "ef" * 32, "note": "",
        "policy_differences": ["likeness: min 0.450 -> 0.500, tighter"], "notes": ["made with torch 2.13.0"],
        "pictures": [document["loras"][0]["pictures"][1] | {"name": "p0/0", "prompt": "p0", "seed": 0}],
        "rows": [{
            "lora": "step-0300", "check": "likeness", "metric": "similarity", "label": "similarity",
            "better": "higher", "kind": "images", "before": 0.8, "value": 0.75, "difference": -0.05,
            "low": -0.08, "high": -0.02, "confidence": 0.95, "sides": 2, "pairs": 8, "lost": 0, "found": 0,
            "absent": 0, "allowed": 0.02, "outcome": "FAIL", "reason": "0.050 worse, and 0.020 is allowed",
            "not_compared": "", "prompts": [["p3", 0.9, 0.7, -0.2], ["p1", 0.7, 0.8, 0.1]],
        }],
    }  # fmt: skip
    return document, folder
