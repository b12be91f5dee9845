"""A tiny random pipeline of each family of bases, of the real diffusers and transformers classes.

Names and kinds of layers are those of the real models; sizes are as small as the classes take, and no two
families are alike in the width of their text. A small image in 2 steps takes well under a second. One file a
family: its `BUILDERS` give, by name, a function from the folder that the pipeline will be saved in (where its
tokenizers may put their files) to the pipeline.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

# The families whose every kind of file has a cell in the table of `kind_table.py`.
FAMILIES: tuple[str, ...] = ("SD 1.x", "SD 2.x", "SDXL", "SD3", "FLUX", "FLUX schnell")
_FILES: dict[str, str] = {
    "SD 1.x": "sd",
    "SD 2.x": "sd",
    "SDXL": "sdxl",
    "SD3": "sd3",
    "SD3.5 large": "sd3",
    "FLUX": "flux",
    "FLUX schnell": "flux",
    "AuraFlow": "auraflow",
    "CogView4": "cogview4",
    "Sana": "sana",
    "ERNIE-Image": "ernie_image",
    "Ideogram 4": "ideogram4",
    "Kandinsky 5": "kandinsky5",
    "HunyuanImage 2.1": "hunyuan_image",
    "PixArt Alpha": "pixart",
    "PixArt Sigma": "pixart",
    "FLUX.2 dev": "flux2",
    "FLUX.2 klein": "flux2",
    "FLUX.2 klein base": "flux2",
    "Z-Image": "z_image",
    "Z-Image Turbo": "z_image",
    "Qwen-Image": "qwen_image",
    "Chroma": "chroma",
    "Krea 2": "krea2",
    "Krea 2 Turbo": "krea2",
    "HiDream": "hidream",
    "Lumina2": "lumina2",
    "Anima": "anima",
}
SIDE = 32  # pixels of a picture
TOKENS = 64  # of a text, where the pipeline takes a number


def family(name: str, folder: Path) -> Path:
    """``folder / name``, a pipeline directory of the family, written if it is not there."""
    path = folder / name.replace(" ", "-")
    if not any((path / index).is_file() for index in ("model_index.json", "modular_model_index.json")):
        pipe = import_module(f"families.{_FILES[name]}").BUILDERS[name](path)
        modular = {"overwrite_modular_index": True} if hasattr(pipe, "blocks") else {}
        pipe.save_pretrained(str(path), **modular)
    return path


def load(folder: Path) -> Any:
    from diffusers import DiffusionPipeline, ModularPipeline

    if (folder / "model_index.json").is_file():
        pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    else:
        pipe = ModularPipeline.from_pretrained(str(folder), workflow="text2image", local_files_only=True)
        pipe.load_components(local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def paint(pipe: Any, prompt: str, seed: int = 0, steps: int = 2, **settings: Any) -> np.ndarray:
    generator = torch.Generator("cpu").manual_seed(seed)
    sampler = {"num_inference_steps": steps, "width": SIDE, "height": SIDE, "generator": generator}
    if "max_sequence_length" in inspect.signature(pipe.__call__).parameters:
        sampler["max_sequence_length"] = TOKENS  # 512, the usual default, costs more than the picture
    return pipe(prompt=prompt, output_type="np", **sampler | settings).images[0]
