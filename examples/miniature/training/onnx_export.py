"""Export torch to ONNX with fp16 weights, for half the size; ONNX Runtime widens them when it loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

SMALLEST_HALVED = 64  # elements; shape constants and small biases stay as they are


def export(
    model: nn.Module, example: Tensor, outputs: Sequence[str], path: Path, *, any_batch: bool = False
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model.eval(),
        (example,),
        path,
        input_names=["input"],
        output_names=list(outputs),
        dynamic_shapes=({0: torch.export.Dim("batch")},) if any_batch else None,
        external_data=False,
        dynamo=True,
    )
    graph = onnx.load(path)
    _halve(graph.graph)
    del graph.metadata_props[:]
    for node in graph.graph.node:  # stack traces of this machine
        del node.metadata_props[:]
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _halve(graph: onnx.GraphProto) -> None:
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + ".half"))
        casts.append(
            helper.make_node("Cast", [name + ".half"], [name], name="Widen_" + name, to=TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    known = {c.output[0] for c in casts}
    kept = [v for v in graph.value_info if v.name not in known]
    del graph.value_info[:]
    graph.value_info.extend(kept)
