"""Run FID's network: pytorch-fid's InceptionV3, weights pt_inception-2015-12-05, 2048-d pool3 features.

On a CPU the network runs in ONNX Runtime, in about half the time of eager PyTorch. The export is stored in
``cache``, so the next run does not import torch. On another device it looks at eight pictures at a time.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import seals
from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, PrerequisiteError, StoreError
from lora_checks.core.files import write_atomically
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.batches import in_batches
from lora_checks.networks.resize import clean
from lora_checks.networks.runtime import session_options
from lora_checks.networks.weights import (
    cause,
    check_keys,
    identity,
    known_digests,
    local_file,
    torch_hub_file,
)

NAME = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAME}"
PUBLISHED = "6726825d"  # first digits of the SHA-256, as in the file's name
DIMENSION = 2048
SIDE = 299  # pixels that the network sees
RESIZES = ("pytorch-fid", "clean")
OPSET = 17


class Inception:
    """FID's Inception.

    Settings: ``file``, the weights, if they are not in torch.hub's cache; ``resize: clean`` scales as
    clean-fid does (Pillow's bicubic in float) instead of as pytorch-fid (bilinear, without antialiasing).
    """

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("inception", settings, {"file", "resize"})
        self.resize = settings.get("resize", "pytorch-fid")
        if self.resize not in RESIZES:
            raise ConfigError(
                f"networks: inception: resize: {self.resize!r} is not one of {', '.join(RESIZES)}"
            )
        if "file" in settings:
            self.file = local_file("inception", "file", settings["file"])
        else:
            self.file = torch_hub_file("inception", NAME, URL)
        self.device, self.cache = device, cache
        self.files = Contents(self.file, known=known_digests(cache))
        self.sha256 = self.files.sha256(self.file)
        scaled = {} if self.resize == "pytorch-fid" else {"resize": self.resize}
        self.id = identity("inception", "1", scaled, self.files.digests)
        published = self.sha256.startswith(PUBLISHED)
        named = "pytorch-fid" if self.resize == "pytorch-fid" else "clean-fid's resize"
        self.label = f"Inception v3 ({named})" if published else f"Inception v3 with {self.file.name}"

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, 2048) float32. Sizes may differ: each image is scaled to 299 x 299."""
        if not len(pixels):
            return np.empty((0, DIMENSION), np.float32)
        if self.device != "cpu":
            return in_batches(pixels, self._batch)
        # One at a time: batches give the same numbers on a CPU, are no faster and take more memory.
        return np.concatenate([self._run(self._input(image)) for image in pixels])

    def streamed(self, pixels: Sequence[Pixels]) -> Floats:
        """Return what `images` does, which keeps nothing."""
        return self.images(pixels)

    def _input(self, image: Pixels) -> Floats:
        if self.resize == "clean":  # the network then finds nothing left to scale
            return _unit_range(clean(image, SIDE))
        return _unit_range(image)

    def _run(self, x: Floats) -> Floats:
        (features,) = self._session.run(None, {"image": x})
        return np.asarray(features, np.float32)

    def _batch(self, some: list[Pixels]) -> Floats:
        """Return (N, 2048) from one pass on the device.

        Pictures of any size go together: each is scaled as the network does it, which then finds nothing to
        scale.
        """
        import torch

        with torch.inference_mode():
            inputs = (torch.from_numpy(self._input(image)).to(self.device) for image in some)
            scaled = [
                torch.nn.functional.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
                for x in inputs
            ]
            features: NDArray[np.float32] = self._module(torch.cat(scaled)).cpu().numpy()
        return features

    @cached_property
    def _module(self) -> Any:
        return _load(self.file).to(self.device)

    @cached_property
    def _session(self) -> Any:
        export = self.cache and self.cache / f"inception-{self.sha256[:16]}-opset{OPSET}.onnx"
        network = None if export is None else _whole(export)
        if network is not None:
            return _start(network)
        exported = _export(_load(self.file))
        if export:
            try:
                write_atomically(export, seals.seal(exported, export.name))
            except OSError as error:
                raise StoreError(f"{export}: cannot be written: {error.strerror}; free the disk") from error
        return _start(exported)


def _whole(file: Path) -> bytes | None:
    """Return the exported network, or None if there is no export or it is damaged."""
    try:
        return seals.unseal(file.read_bytes(), file.name)
    except OSError:
        return None


def _unit_range(image: Pixels | Floats) -> Floats:
    """Convert (H, W, 3) in 0..255 to (1, 3, H, W) float32 in [0, 1], as torchvision's ``to_tensor`` does."""
    scaled: Floats = np.array(image.transpose(2, 0, 1)[None], np.float32, order="C")
    scaled /= np.float32(255)
    return scaled


def _start(network: bytes) -> Any:
    from onnxruntime import InferenceSession

    return InferenceSession(network, session_options(), providers=["CPUExecutionProvider"])


def _load(file: Path) -> Any:
    """Load the network with exactly these weights: (1, 3, H, W) -> (1, 2048)."""
    import pickle
    from unittest.mock import patch

    import torch
    from pytorch_fid import inception

    class Pool3(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[DIMENSION]])

        def forward(self, x: Any) -> Any:
            return self.network(x)[0].flatten(1)

    def read(*_: object, **__: object) -> Any:
        return torch.load(file, map_location="cpu", weights_only=True)

    try:
        # Its own loader knows only the download address.
        with patch.object(inception, "load_state_dict_from_url", read):
            return Pool3().eval()
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, TypeError) as error:
        raise PrerequisiteError(
            f"{file} does not hold the weights of pytorch-fid's Inception ({cause(error)}); download {URL}"
        ) from error


def _export(module: Any) -> bytes:
    """Export the module to ONNX, for one image of any height and width."""
    import torch

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The newer exporter takes ten times as long for the same graph.
        warnings.simplefilter("ignore")
        path = Path(folder, "inception.onnx")
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, 64, 64),),
            str(path),
            input_names=["image"],
            output_names=["pool3"],
            dynamic_axes={"image": {2: "height", 3: "width"}},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
