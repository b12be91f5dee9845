"""List the files of an ONNX network: large ones store their weights in other files.

ONNX Runtime looks for these files next to the model if it is given the model's path; given its bytes, it
looks in the current folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from lora_checks.core.errors import PrerequisiteError
from lora_checks.networks.weights import cause

LOCATION = b"location"  # the key under which a tensor names its file


def network_files(kind: str, file: Path) -> tuple[Path, ...]:
    """Return ``file`` and the files of its weights, sorted by name.

    Raises:
        PrerequisiteError: A file is missing, or is neither beside nor below ``file``.
    """
    content = file.read_bytes()
    if LOCATION not in content:
        return (file,)
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's errors derive from Exception alone
        raise PrerequisiteError(f"networks: {kind}: {file} cannot be loaded: {cause(error)}") from error
    return (file, *(_beside(kind, file, location) for location in sorted(set(_locations(model)))))


def _locations(message: Any) -> Iterator[str]:
    """Yield the file name of every tensor: in a graph, a branch, a function or an attribute."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield from (entry.value for entry in message.external_data if entry.key == LOCATION.decode())
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if isinstance(value, Sequence) else [value]:
                yield from _locations(child)


def _beside(kind: str, file: Path, location: str) -> Path:
    parts = PurePosixPath(location).parts
    if not parts or location.startswith("/") or ".." in parts or "\\" in location:
        raise PrerequisiteError(
            f"networks: {kind}: {file} takes weights from '{location}'; save it with its weights inside, "
            "or in a file next to it"
        )
    path = file.parent / location
    if not path.is_file():
        raise PrerequisiteError(
            f"networks: {kind}: {file} takes weights from {path}, which is not there; put the file there"
        )
    return path
