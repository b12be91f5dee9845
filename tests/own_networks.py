"""Network files of one's own, small enough to make in a test."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

SIZE = 32


def onnx_file(path: Path, outputs: tuple[str, ...] = ("mean",)) -> Path:
    """The mean of each channel, and its negative as a second output."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
        helper.make_node("Neg", ["mean"], ["negative"]),
    ]
    given = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "mean", given, made)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def torchscript_file(path: Path) -> Path:
    class Mean(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3))

    torch.jit.trace(Mean(), torch.zeros(1, 3, SIZE, SIZE)).save(str(path))
    return path
