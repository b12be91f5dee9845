"""PyPI shows the README without dead links: absolute if the build knows the repository, else their text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import workflow
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parents[2]
URL = "https://github.com/team/lora_checks"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def built(monkeypatch: pytest.MonkeyPatch, repository: str) -> Any:
    """The metadata that a build of this repository writes."""
    monkeypatch.setenv("REPOSITORY_URL", repository)
    return ProjectMetadata(str(ROOT), PluginManager()).core


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def test_links_lead_to_files_of_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    core = built(monkeypatch, URL)
    shown = links(core.readme)
    tag = f"v{core.version}"
    assert len(shown) == len(links(README))
    for link in shown:
        assert re.match(rf"{URL}/(blob|raw)/{tag}/", link) or "://" in link, link
        path = re.sub(rf"^{URL}/(blob|raw)/{tag}/|#.*$", "", link)
        assert "://" in path or (ROOT / path).exists(), link
    assert f"]({URL}/raw/{tag}/examples/miniature/sheets/ladder.png)" in core.readme
    assert core.urls["Source"] == URL
    assert core.readme_content_type == "text/markdown"


def test_without_an_address_there_is_no_dead_link(monkeypatch: pytest.MonkeyPatch) -> None:
    core = built(monkeypatch, "")
    assert [link for link in links(core.readme) if "://" not in link] == []
    assert "Your first gate shows both tables" in core.readme
    assert "![" not in core.readme
    assert core.urls == {}


def test_the_release_workflow_knows_the_address() -> None:
    steps = workflow.load(ROOT / ".github" / "workflows" / "publish.yml")["jobs"]["build"]["steps"]
    (build,) = [step for step in steps if step.get("name") == "Build"]
    context = {"github": {"server_url": "https://github.com", "repository": "team/lora_checks"}}
    assert workflow.fill(build["env"]["REPOSITORY_URL"].partition(" #")[0], context) == URL
