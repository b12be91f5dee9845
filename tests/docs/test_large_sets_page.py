"""The command of docs/how-to/large-sets.md runs, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

from doc_pages import commands, outputs
from shards_made import encoded, write_tar
from world import MINIATURE, run_line


def test_shards_are_measured(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/miniature").symlink_to(MINIATURE)
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        files = {f"{i}.png": encoded(40 * shard + i) for i in range(40)}
        write_tar(tmp_path / f"shards/{shard:05}.tar", files)
    (command,) = commands("sh shards")
    assert outputs(command) == [run_line(command, folder=tmp_path).stdout]
    assert (tmp_path / "references.npz").is_file()
