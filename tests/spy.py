"""A pytest plugin (`-p spy`) that writes at exit which heavy modules and which of the gate were imported."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

HEAVY = [
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "peft",
    "safetensors",
    "scipy",
    "cv2",
    "skimage",
    "insightface",
    "onnxruntime",
    "lpips",
    "open_clip",
    "pytorch_fid",
    "tqdm",
    "huggingface_hub",
    "numpy",
    "PIL",
    "yaml",
    "jinja2",
]


def _write() -> None:
    own = sorted(name for name in sys.modules if name.partition(".")[0] == "lora_checks")
    Path(os.environ["SPY"]).write_text(" ".join([*own, *(name for name in HEAVY if name in sys.modules)]))


if "SPY" in os.environ:  # the file to write
    atexit.register(_write)
