"""Digests of large files are kept, and believed only while the file is what it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_checks.core import known_digests
from lora_checks.core.contents import Contents
from lora_checks.core.known_digests import KnownDigests
from lora_checks.core.records import Base
from lora_checks.core.store import Store
from lora_checks.diffusion import base

CONTENT = b"weights!" * (known_digests.LARGE // 8)


class Reads(list[str]):
    """The names of the files that are read in full."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    reads, real = Reads(), hashlib.file_digest

    def counted(file: object, name: str) -> object:
        reads.append(Path(getattr(file, "name", "")).name)
        return real(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return reads


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files for old enough: nobody can set the time of a change of status."""
    monkeypatch.setattr(known_digests, "TICK", -(10**12))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def known(tmp_path: Path) -> KnownDigests:
    return KnownDigests(tmp_path / "store" / "digests")


@pytest.mark.usefixtures("at_rest")
def test_a_file_is_read_once_for_all_processes(file: Path, known: KnownDigests, reads: Reads) -> None:
    first = Contents(file, known=known)
    again = Contents(file, known=KnownDigests(known.folder))
    assert first.digests == again.digests == [hashlib.sha256(CONTENT).hexdigest()]
    assert reads == [file.name]


@pytest.mark.usefixtures("at_rest")
def test_what_was_loaded_is_not_read_again(file: Path, known: KnownDigests, reads: Reads) -> None:
    contents = Contents(file, known=known)
    assert contents.changed(loaded=True) == ""
    assert reads == [file.name]


def test_a_file_that_was_just_written_is_read_again(file: Path, known: KnownDigests, reads: Reads) -> None:
    """It could be written again within the same tick of the clock."""
    contents = Contents(file, known=known)
    Contents(file, known=known)
    assert contents.changed(loaded=True) == ""
    assert reads == [file.name] * 3
    assert not known.folder.exists()


def other_bytes(file: Path) -> None:
    file.write_bytes(CONTENT[::-1])


def other_bytes_of_the_same_time(file: Path) -> None:
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(CONTENT[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def another_file_of_the_same_time(file: Path) -> None:
    before, other = file.stat(), file.with_name("other")
    other.write_bytes(CONTENT[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)


@pytest.mark.usefixtures("at_rest")
@pytest.mark.parametrize("change", [other_bytes, other_bytes_of_the_same_time, another_file_of_the_same_time])
def test_a_changed_file_is_read_again(
    file: Path, known: KnownDigests, change: Callable[[Path], None]
) -> None:
    Contents(file, known=known)
    change(file)
    assert Contents(file, known=known).digests == [hashlib.sha256(CONTENT[::-1]).hexdigest()]


def edited(record: bytes) -> bytes:
    return record.replace(hashlib.sha256(CONTENT).hexdigest().encode(), b"0" * 64)


@pytest.mark.usefixtures("at_rest")
@pytest.mark.parametrize("damage", [edited, lambda record: record[:-9], lambda _: b"", lambda _: b"[]"])
def test_a_damaged_record_is_not_believed(
    file: Path, known: KnownDigests, damage: Callable[[bytes], bytes]
) -> None:
    right = Contents(file, known=known).digests
    (record,) = known.folder.iterdir()
    record.write_bytes(damage(record.read_bytes()))
    assert Contents(file, known=known).digests == right


@pytest.mark.usefixtures("at_rest")
def test_records_of_two_files_are_not_mixed_up(file: Path, known: KnownDigests) -> None:
    other = file.with_name("other")
    other.write_bytes(CONTENT[::-1])
    Contents(file, other, known=known)
    (one, two) = known.folder.iterdir()
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    right = [hashlib.sha256(content).hexdigest() for content in (CONTENT, CONTENT[::-1])]
    assert Contents(file, other, known=known).digests == right


@pytest.mark.usefixtures("at_rest")
def test_a_base_is_read_once_for_all_runs_on_a_store(tmp_path: Path, file: Path, reads: Reads) -> None:
    (tmp_path / "pipeline" / "unet").mkdir(parents=True)
    (tmp_path / "pipeline" / "model_index.json").write_text("{}")
    file.rename(tmp_path / "pipeline" / "unet" / file.name)
    asked = Base(str(tmp_path / "pipeline"))
    found = {base.resolve(asked, Store(tmp_path / "store").known_digests).identity for _ in range(3)}
    assert reads.count(file.name) == 1
    assert found == {base.resolve(asked).identity}  # which hashes the bytes, as `verify` does
    assert reads.count(file.name) == 2
