"""Files of a report: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_checks.core.errors import StoreError
from lora_checks.core.files import write_atomically


def write_text(path: Path, text: str) -> Path:
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Raises `StoreError`."""
    with writing(path):
        write_atomically(path, content)
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk refuses inside is a `StoreError` about ``path``."""
    try:
        yield
    except OSError as trouble:
        raise StoreError(
            f"the report {path} could not be written ({trouble.strerror or trouble}): "
            "free the disk or choose another folder with --report"
        ) from trouble
