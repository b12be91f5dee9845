"""Build TensorBoard's messages. ``about`` is the description that its dashboard shows next to a tag."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def scalar(tag: str, value: float, about: str = "") -> Any:
    """Return a scalar message."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value, metadata=_metadata("", about))])


def text(tag: str, markdown: str) -> Any:
    """Return a text message."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    tensor = TensorProto(
        dtype="DT_STRING",
        string_val=[markdown.encode("utf-8", "replace")],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
    )
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=_metadata("text", ""))])


def image(tag: str, file: Path, about: str) -> Any:
    """Return an image message; a PNG keeps its bytes, other formats become PNG."""
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(file) as opened:
        width, height = opened.size
        content = file.read_bytes()
        if opened.format != "PNG":
            buffer = io.BytesIO()
            opened.convert("RGB").save(buffer, "PNG")
            content = buffer.getvalue()
    encoded = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
    return Summary(value=[Summary.Value(tag=tag, image=encoded, metadata=_metadata("", about))])


def hparams(facts: Mapping[str, str | float]) -> Any:
    """Return the facts by which the HPARAMS page compares runs, in addition to their scalars."""
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    return hparams_pb(dict(facts))


def _metadata(plugin: str, about: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata

    metadata = SummaryMetadata(summary_description=about)
    if plugin:
        metadata.plugin_data.plugin_name = plugin
    return metadata
