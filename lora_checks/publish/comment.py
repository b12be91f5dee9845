"""Keep one comment on a GitHub pull request that shows the latest report."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.record.shapes import Document
from lora_checks.report import github

API = "https://api.github.com"
MOST = 65_000  # bytes; GitHub refuses a comment above 65,536 characters
PER_PAGE = 100
MOST_PAGES = 50
TIMEOUT = 30.0  # seconds
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request and the means to write to it."""

    repository: str  # "owner/name"
    number: int
    token: str  # needs the permission "pull-requests: write"
    api: str = API

    def __post_init__(self) -> None:
        if not REPOSITORY.fullmatch(self.repository):
            raise ConfigError(f"--repository: '{self.repository}' is not OWNER/NAME")
        if not self.api.startswith(("https://", "http://")):
            raise ConfigError(f"GITHUB_API_URL: '{self.api}' is not an address")


def post(
    document: Document, pull: PullRequest, name: str = "lora", link: str = "", pictures: str = ""
) -> str:
    """Write the comment, or replace the one of the same ``name``; return its address.

    Args:
        document: The report.
        pull: Where the comment goes.
        name: Tells the comments of several gates apart.
        link: Address of the whole report, such as the artifact's.
        pictures: Address of a few of its pictures.

    Raises:
        PrerequisiteError: GitHub cannot be reached or refuses.
    """
    if not re.fullmatch(r"[\w.-]{1,64}", name):
        raise ConfigError(f"--name: '{name}' must be 1 to 64 letters, digits, '.', '_' or '-'")
    marker = f"<!-- lora_checks {name} -->"
    more = f"\n[A few of its pictures, from the best to the worst]({pictures})\n" if pictures else ""
    more += f"\n[The whole report, with every picture]({link})\n" if link else ""
    body = f"{marker}\n{github.summary(document, MOST - len(more.encode()))}{more}"
    comments = f"/repos/{pull.repository}/issues/{pull.number}/comments"
    earlier = _earlier(pull, comments, marker)
    if earlier is None:
        written = _ask(pull, "POST", comments, {"body": body})
    else:
        written = _ask(pull, "PATCH", f"/repos/{pull.repository}/issues/comments/{earlier}", {"body": body})
    return str(written["html_url"])


def _earlier(pull: PullRequest, comments: str, marker: str) -> int | None:
    """Return the id of the comment that starts with the marker."""
    for page in range(1, MOST_PAGES + 1):
        listed = _ask(pull, "GET", f"{comments}?per_page={PER_PAGE}&page={page}")
        for comment in listed:
            if str(comment.get("body", "")).startswith(marker):
                return int(comment["id"])
        if len(listed) < PER_PAGE:
            return None
    return None


def _ask(pull: PullRequest, method: str, path: str, content: object = None) -> Any:
    request = urllib.request.Request(
        pull.api.rstrip("/") + path,
        method=method,
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {pull.token}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        help_ = "; the token needs 'pull-requests: write'" if error.code in (401, 403, 404) else ""
        raise PrerequisiteError(f"GitHub answers {error.code} to {method} {path}{help_}") from error
    except (OSError, ValueError) as error:
        raise PrerequisiteError(f"GitHub cannot be reached at {pull.api}: {error}") from error
