"""Load a custom perceptual trunk: LPIPS' architecture and code with other weights.

Its distances and Frechet distances are comparable only with each other, so it is never called LPIPS or FID.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.lpips import PerceptualDistance, check_net, lpips_module
from lora_checks.networks.weights import cause, check_keys, identity, known_digests, local_file


class Trunk(PerceptualDistance):
    """A custom trunk. Settings: ``file``, a safetensors state dict of ``lpips.LPIPS``; ``net``; ``name``."""

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("trunk", settings, {"net", "file", "name"})
        net = check_net("trunk", settings.get("net", "squeeze"))
        if "file" not in settings:
            raise ConfigError("networks: trunk: file: name the safetensors file of its weights")
        file = local_file("trunk", "file", settings["file"])
        super().__init__(file, lambda: _load(net, file), device)
        self.files = Contents(file, known=known_digests(cache))
        self.id = identity("trunk", "1", {"net": net}, self.files.digests)
        self.label = str(settings.get("name", f"the trunk {file.stem}"))

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, C) float32: the last layer's activations, averaged over the picture."""
        return self.mean_of_last_layer(pixels)

    def streamed(self, pixels: Sequence[Pixels]) -> Floats:
        """Return what `images` does, without keeping the other layers for distances."""
        return np.stack([self.last_layer(image).numpy() for image in pixels])


def _load(net: str, file: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    module = lpips_module(net)
    try:
        state = {name: tensor.float() for name, tensor in load_file(file).items()}
        module.load_state_dict(state, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise PrerequisiteError(
            f"{file} is not a state dict of lpips.LPIPS(net='{net}'): {cause(error)}"
        ) from error
    return module
