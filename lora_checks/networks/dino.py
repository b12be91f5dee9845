"""Run DINO and DINOv2 through ``transformers``: a ViT's class token, with its authors' preprocessing.

The shorter side is scaled to 256 (bicubic), the middle 224 x 224 is cut out and normalised by ImageNet's
mean and deviation, as in the evaluation code of DINO and DINOv2. The preprocessor files of the repositories
differ: that of facebook/dino-vits16 squashes the picture bilinearly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.batches import in_batches
from lora_checks.networks.resize import centred, standardised
from lora_checks.networks.weights import cause, check_keys, identity, known_digests, local_folder, number

MODEL = "facebook/dino-vits16"  # DreamBooth's; "facebook/dinov2-small" and larger ones work likewise
KINDS = ("vit", "dinov2", "dinov2_with_registers")
CONFIG = "config.json"
ADAPTER = "adapter_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order transformers looks
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class Dino:
    """A DINO or DINOv2 model.

    Settings: ``model`` (a Hugging Face id, from the cache) or ``path`` (a folder); ``resize`` and ``crop`` in
    pixels; ``name`` for people.
    """

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("dino", settings, {"model", "path", "resize", "crop", "name"})
        if "path" in settings and "model" in settings:
            raise ConfigError("networks: dino: 'path' already names the model; remove model")
        self.device = device
        self.resize = int(number("dino", settings, "resize", 256, 14, 4096))
        self.crop = int(number("dino", settings, "crop", 224, 14, self.resize))
        if "path" in settings:
            self.folder = local_folder("dino", "path", settings["path"])
            label = f"{self.folder.name} (local)"
        else:
            label = str(settings.get("model", MODEL))
            self.folder = _cached(label)
        weights = _weights(self.folder)
        self.config: dict[str, Any] = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))
        if self.config.get("model_type") not in KINDS:
            raise ConfigError(
                f"networks: dino: {label} is a {self.config.get('model_type')}, not one of {', '.join(KINDS)}"
            )
        chosen = {"resize": self.resize, "crop": self.crop}
        self.files = Contents(self.folder / CONFIG, weights, known=known_digests(cache))
        self.id = identity("dino", "1", chosen, self.files.digests)
        self.label = str(settings.get("name", f"DINO {label.rpartition('/')[2]}"))

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32, not normalised: the class token after the last layer norm."""
        import torch

        def encoded(some: list[Pixels]) -> Floats:
            batch = np.stack([self._input(image) for image in some])
            tokens = self._module(torch.from_numpy(batch).to(self.device)).last_hidden_state
            features: Floats = tokens[:, 0].float().cpu().numpy()
            return features

        with torch.inference_mode():
            return in_batches(pixels, encoded)

    def streamed(self, pixels: Sequence[Pixels]) -> Floats:
        """Return what `images` does, which keeps nothing."""
        return self.images(pixels)

    def _input(self, image: Pixels) -> Floats:
        return standardised(centred(image, self.resize, self.crop), MEAN, STD)

    @cached_property
    def _module(self) -> Any:
        from transformers import AutoConfig, AutoModel

        try:
            config = AutoConfig.from_pretrained(self.folder, local_files_only=True)
            options = {"add_pooling_layer": False} if config.model_type == "vit" else {}
            module, report = AutoModel.from_pretrained(
                self.folder, local_files_only=True, output_loading_info=True, **options
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise PrerequisiteError(
                f"networks: dino: {self.folder} cannot be loaded: {cause(error)}"
            ) from error
        if report["missing_keys"]:  # transformers would continue with random numbers there
            raise PrerequisiteError(
                f"networks: dino: {self.folder} lacks the weight {sorted(report['missing_keys'])[0]}; "
                "download it again"
            )
        return module.eval().float().to(self.device)


def _weights(folder: Path) -> Path:
    if not (folder / CONFIG).is_file():
        raise PrerequisiteError(f"networks: dino: {folder} has no {CONFIG}; save the model with transformers")
    if (folder / ADAPTER).exists():
        raise PrerequisiteError(
            f"networks: dino: {folder} holds an adapter ({ADAPTER}), which transformers would put on the "
            "model by itself; merge it into the weights, or remove it"
        )
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise PrerequisiteError(f"networks: dino: {folder} has no weights ({' or '.join(WEIGHTS)})")


def _cached(model: str) -> Path:
    """Return the folder of a model's snapshot in the Hugging Face cache."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model, CONFIG)
    weights = [try_to_load_from_cache(model, name) for name in WEIGHTS]
    if not isinstance(config, str) or not any(isinstance(path, str) for path in weights):
        raise PrerequisiteError(
            f"networks: dino: {model} is not on this machine; download it with `hf download {model}`, "
            "or set 'path' to a copy"
        )
    return Path(config).parent
