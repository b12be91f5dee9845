"""Files of a report: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from lora_checks.core.errors import StoreError
from lora_checks.core.files import stage, write_atomically


def write_text(path: Path, text: str) -> Path:
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Raises `StoreError`."""
    held = _HELD.get()
    with writing(path):
        if held is None:
            write_atomically(path, content)
        else:
            held.add(path, content)
    return path


class Held:
    """Files that are on disk without their names, which they get together or never."""

    def __init__(self) -> None:
        self._files: list[tuple[Path, Path]] = []

    def add(self, path: Path, content: bytes) -> None:
        self._files.append((stage(path, content), path))

    def publish(self) -> None:
        """Raises `StoreError`."""
        for temporary, path in self._files:
            with writing(path):
                temporary.replace(path)

    def discard(self) -> None:
        for temporary, _ in self._files:
            temporary.unlink(missing_ok=True)


_HELD: ContextVar[Held | None] = ContextVar("held", default=None)


@contextmanager
def hold() -> Iterator[Held]:
    """Keep back what is written inside; if an exception ends the block, nothing of it stays."""
    held = Held()
    token = _HELD.set(held)
    try:
        yield held
    except BaseException:
        held.discard()
        raise
    finally:
        _HELD.reset(token)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk refuses inside is a `StoreError` about ``path``."""
    try:
        yield
    except OSError as trouble:
        raise StoreError(
            f"the report {path} could not be written ({trouble.strerror or trouble}): "
            "free the disk or choose another folder with --lora-report"
        ) from trouble
