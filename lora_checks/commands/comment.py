"""``comment``: show a report as one comment on a pull request, and keep it current."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

HELP = "write the report as a comment on a GitHub pull request, or replace the earlier one"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("report", type=Path, help="the run's report folder")
    add(
        "--repository",
        default=os.environ.get("GITHUB_REPOSITORY", ""),
        help="OWNER/NAME (default: the workflow's)",
    )
    add("--pull-request", type=int, required=True, metavar="N", help="number of the pull request")
    add("--name", default="lora", help="tells the comments of several gates apart (default: lora)")
    add("--link", default="", help="address of the whole report, such as the artifact's")
    add("--pictures", default="", metavar="LINK", help="address of a few of its pictures")


def run(options: argparse.Namespace) -> int:
    """Print the comment's address. The token is read from GITHUB_TOKEN, never from an argument."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.publish.comment import API, PullRequest, post
    from lora_checks.record.document import read

    token = os.environ.get("GITHUB_TOKEN", "")
    if not token:
        raise ConfigError("GITHUB_TOKEN is not set; give the step `env: {GITHUB_TOKEN: ${{ github.token }}}`")
    api = os.environ.get("GITHUB_API_URL") or API
    pull = PullRequest(options.repository, options.pull_request, token, api)
    print(post(read(options.report), pull, options.name, options.link, options.pictures))
    return 0
