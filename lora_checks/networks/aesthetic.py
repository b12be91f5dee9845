"""Score beauty by a linear head on CLIP's image features, as LAION-Aesthetics Predictor V1 does.

https://github.com/LAION-AI/aesthetic-predictor (MIT; its weights are trained on ratings by people, about 1
to 10, of SAC, LAION-Logos and AVA). The head is a file that the policy names; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.clip import SETTINGS as CLIP_SETTINGS
from lora_checks.networks.clip import Clip
from lora_checks.networks.weights import cause, check_keys, known_digests, local_file


class Aesthetic:
    """An aesthetic score.

    Settings: those of `Clip`, which must be the model that the head was trained on, and ``head``, a file with
    one linear layer (``weight`` (1, D), ``bias`` (1,); .pth or .safetensors).
    """

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("aesthetic", settings, {"head", *CLIP_SETTINGS})
        if "head" not in settings:
            raise ConfigError(
                "networks: aesthetic: name the 'head', such as sa_0_4_vit_l_14_linear.pth of LAION's "
                "aesthetic-predictor, and the CLIP that it was trained on (ViT-L-14-quickgelu, openai)"
            )
        self.head = local_file("aesthetic", "head", settings["head"])
        clip = {key: value for key, value in settings.items() if key not in ("head", "name")}
        self.clip = Clip(clip, device, cache)
        self.files = Contents(self.head, *self.clip.files.places, known=known_digests(cache))
        self.id = f"aesthetic/1 head={self.files.sha256(self.head)[:16]} on {self.clip.id}"
        self.label = str(settings.get("name", f"{self.head.stem} on {self.clip.label}"))

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, 1) float32: the head's score of the features scaled to length one."""
        weight, bias = self._layer
        features = self.clip.images(pixels)
        if features.shape[1] != weight.shape[1]:
            raise ConfigError(
                f"networks: aesthetic: {self.head.name} reads {weight.shape[1]} numbers and "
                f"{self.clip.label} gives {features.shape[1]}; name the CLIP that it was trained on"
            )
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        # Row by row: products of other sizes round differently.
        return np.stack([np.asarray(weight @ row + bias, dtype=np.float32) for row in unit])

    @cached_property
    def _layer(self) -> tuple[Floats, Floats]:
        import torch
        from safetensors.torch import load_file

        try:
            if self.head.suffix == ".safetensors":
                layer = load_file(self.head)
            else:
                layer = torch.load(self.head, map_location="cpu", weights_only=True)  # runs no code
            weight, bias = (layer[name].float().numpy() for name in ("weight", "bias"))
        except Exception as error:  # pickle raises many kinds of errors for other files
            raise PrerequisiteError(
                f"networks: aesthetic: {self.head} is not a linear head: {cause(error)}"
            ) from error
        if weight.ndim != 2 or weight.shape[0] != 1 or bias.shape != (1,):
            raise PrerequisiteError(
                f"networks: aesthetic: {self.head} has a weight {weight.shape}, not (1, D): it does "
                "not give one score"
            )
        return weight, bias
