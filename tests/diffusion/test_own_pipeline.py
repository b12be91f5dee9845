"""A pipeline that diffusers gains tomorrow: its classes are defined here, and no table knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.modeling_utils import ModelMixin
from families import text_encoders
from safetensors.torch import save_file
from torch import nn

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.diffusion import apply
from lora_checks.lora.file import inspect

WIDTH, RANK = 8, 2


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.ModuleDict({"to_out": nn.Linear(WIDTH, WIDTH), "gate_in": nn.Linear(WIDTH, 3 * WIDTH)})
        self.mix_gate = nn.ModuleDict({"in": nn.Linear(WIDTH, WIDTH)})  # flattened as `mix.gate_in` is


class Painter(ModelMixin, ConfigMixin, PeftAdapterMixin):  # type: ignore[misc]
    @register_to_config
    def __init__(self) -> None:
        super().__init__()
        self.strokes = nn.ModuleList([Block(), Block()])
        self.brush = nn.Linear(WIDTH, WIDTH)


class PainterPipeline(DiffusionPipeline):  # type: ignore[misc]
    def __init__(self, painter: Any, second_painter: Any, text_encoder: Any) -> None:
        super().__init__()
        self.register_modules(painter=painter, second_painter=second_painter, text_encoder=text_encoder)


@pytest.fixture
def pipe() -> Any:
    torch.manual_seed(0)
    return PainterPipeline(Painter(), None, text_encoders.clip(3, 16))


def layer(name: str, rows: int = WIDTH, columns: int = WIDTH) -> dict[str, torch.Tensor]:
    """kohya's endings for a flattened name, PEFT's for a dotted one."""
    down, up = ("lora_A", "lora_B") if "." in name else ("lora_down", "lora_up")
    return {
        f"{name}.{down}.weight": torch.randn(RANK, columns),
        f"{name}.{up}.weight": torch.randn(rows, RANK),
    }


def put(pipe: Any, path: Path, *layers: dict[str, torch.Tensor]) -> apply.Adapter:
    save_file({name: value for one in layers for name, value in one.items()}, path)
    adapter = apply.load(pipe, inspect(path, path.stem), "lora")
    apply.activate(pipe, {"lora": 1.0})
    return adapter


@pytest.mark.parametrize(
    "spelling", ["{}", "diffusion_model.{}", "painter.{}", "transformer.{}", "lora_unet_", "lycoris_"]
)
def test_its_own_names_are_enough(pipe: Any, tmp_path: Path, spelling: str) -> None:
    paths = ["strokes.1.mix.to_out", "brush"]
    flat = [path.replace(".", "_") for path in paths]
    names = (
        [spelling.format(path) for path in paths] if "{" in spelling else [spelling + name for name in flat]
    )
    made = [layer(name) for name in names]
    adapter = put(pipe, tmp_path / "a.safetensors", *made)
    assert [(one.layer.component, one.paths) for one in adapter.placed] == [
        ("painter", (path,)) for path in sorted(paths, key=lambda path: names[paths.index(path)])
    ]
    for path, tensors in zip(paths, made, strict=True):
        down, up = tensors.values()
        module = pipe.painter.get_submodule(path)
        x = torch.randn(3, WIDTH)
        with torch.no_grad():
            torch.testing.assert_close(
                module(x) - module.base_layer(x), x @ (up @ down).T, rtol=1e-4, atol=1e-4
            )


def test_its_text_encoder_is_found(pipe: Any, tmp_path: Path) -> None:
    name = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    adapter = put(pipe, tmp_path / "a.safetensors", layer(name, 16, 16))
    assert adapter.placed[0].layer.component == "text_encoder"


def test_a_flattened_name_of_two_of_its_modules_is_refused(pipe: Any, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match=r"^a\.safetensors: the name .* means several modules"):
        put(pipe, tmp_path / "a.safetensors", layer("lora_unet_strokes_0_mix_gate_in"))


def test_a_name_with_dots_tells_them_apart(pipe: Any, tmp_path: Path) -> None:
    adapter = put(pipe, tmp_path / "a.safetensors", layer("strokes.0.mix.gate_in", 3 * WIDTH))
    assert adapter.placed[0].paths == ("strokes.0.mix.gate_in",)


def test_two_layers_of_one_module_are_refused(pipe: Any, tmp_path: Path) -> None:
    twice = (layer("lora_unet_brush"), layer("painter.brush"))
    with pytest.raises(LoraFileError, match="are both of painter module brush; keep one of the two"):
        put(pipe, tmp_path / "a.safetensors", *twice)


def test_two_painters_are_not_guessed_between(pipe: Any, tmp_path: Path) -> None:
    two = PainterPipeline(pipe.painter, Painter(), pipe.text_encoder)
    with pytest.raises(GenerationError, match="which of the base's painter and second_painter it is for"):
        put(two, tmp_path / "a.safetensors", layer("lora_unet_brush"))
    adapter = put(two, tmp_path / "b.safetensors", layer("second_painter.brush"))
    assert adapter.placed[0].layer.component == "second_painter"
