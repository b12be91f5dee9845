"""Write the files of a report, each completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from lora_checks.core.errors import StoreError
from lora_checks.core.files import stage, write_atomically


def write_text(path: Path, text: str) -> Path:
    """Write a text as UTF-8; what UTF-8 cannot encode is written as an escape. Raises `StoreError`."""
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file, or add it to the files that `hold` holds back. Raises `StoreError`."""
    held = _HELD.get()
    with writing(path):
        if held is None:
            write_atomically(path, content)
        else:
            held.add(path, content)
    return path


class Held:
    """Files on disk under temporary names, which get their real names together or not at all."""

    def __init__(self) -> None:
        self._files: list[tuple[Path, Path]] = []

    def add(self, path: Path, content: bytes) -> None:
        """Write the content to disk under a temporary name."""
        self._files.append((stage(path, content), path))

    def publish(self) -> None:
        """Give every file its name. Raises `StoreError`."""
        for temporary, path in self._files:
            with writing(path):
                temporary.replace(path)

    def discard(self) -> None:
        """Remove the files that have no name yet."""
        for temporary, _ in self._files:
            temporary.unlink(missing_ok=True)


_HELD: ContextVar[Held | None] = ContextVar("held", default=None)


@contextmanager
def hold() -> Iterator[Held]:
    """Hold back the files that are written inside the block, and remove them if an exception ends it."""
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
    """Turn an error of the disk inside the block into a `StoreError` about ``path``."""
    try:
        yield
    except OSError as trouble:
        raise StoreError(
            f"the report {path} could not be written ({trouble.strerror or trouble}): "
            "free the disk or choose another folder with --lora-report"
        ) from trouble
