"""Load a custom network from a file, ONNX or TorchScript: for pictures unlike those of ImageNet.

ONNX is data. TorchScript is a program, which can read and write files while it runs (``aten::save``,
``aten::from_file``), so it is loaded only where the policy says that its file is trusted.

It takes (1, 3, size, size) float32 RGB and returns (1, D). The policy says how to prepare a picture::

    networks:
      lesions: {kind: onnx, file: ./lesions.onnx, size: 224, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.onnx_file import network_files
from lora_checks.networks.resize import centred, resized, standardised
from lora_checks.networks.runtime import open_session
from lora_checks.networks.weights import cause, check_keys, identity, known_digests, local_file, number

SETTINGS = frozenset({"file", "size", "mean", "std", "fit", "name"})
FITS = ("crop", "squash")


class Own:
    """A network from a file.

    Settings: ``file``; ``size``, the side in pixels of the square that it takes; ``mean`` and ``std`` of each
    channel in [0, 1] (default: 0 and 1); ``fit``, "crop" (keep proportions, cut out the middle) or "squash";
    ``name`` for people. Pictures are scaled by Pillow's bicubic.
    """

    kind = ""
    known = SETTINGS
    deciding: tuple[str, ...] = ("mean", "std", "output")  # settings that change the numbers, if given

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys(self.kind, settings, self.known)
        for key in ("file", "size"):
            if key not in settings:
                raise ConfigError(f"networks: {self.kind}: {key}: is not given; name {_WANTED[key]}")
        self.file = local_file(self.kind, "file", settings["file"])
        self.size = int(number(self.kind, settings, "size", 0, 8, 4096))
        self.mean = _channels(self.kind, settings, "mean", 0.0)
        self.std = _channels(self.kind, settings, "std", 1.0)
        if not (self.std > 0).all():
            raise ConfigError(f"networks: {self.kind}: std: must be above 0, not {settings['std']}")
        self.fit = settings.get("fit", "crop")
        if self.fit not in FITS:
            raise ConfigError(f"networks: {self.kind}: fit: {self.fit!r} is not one of {', '.join(FITS)}")
        self.output = settings.get("output")
        self.device = device
        chosen = {key: settings[key] for key in self.deciding if key in settings}
        chosen |= {"size": self.size, "fit": self.fit}
        self.files = Contents(*self._parts(settings), known=known_digests(cache))
        self.id = identity(self.kind, "1", chosen, self.files.digests)
        self.label = str(settings.get("name", self.file.stem))

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32."""
        return np.concatenate([self._checked(self._run(self._input(image))) for image in pixels])

    def _input(self, image: Pixels) -> Floats:
        if self.fit == "squash":
            fitted = resized(image, (self.size, self.size))
        else:
            fitted = centred(image, self.size, self.size)
        return standardised(fitted, self.mean, self.std)[None]

    def _checked(self, output: Any) -> Floats:
        row = np.asarray(output, np.float32)
        if row.ndim != 2 or row.shape[0] != 1:
            raise MeasureError(
                f"networks: {self.file.name} gives {row.shape} for one picture; it must give (1, D), "
                "one row of features"
            )
        return row

    def _parts(self, settings: Mapping[str, Any]) -> Sequence[Path]:
        """Return every file that the network is loaded from; raise if it must not be loaded."""
        raise NotImplementedError

    def _run(self, x: Floats) -> Any:
        raise NotImplementedError


class Onnx(Own):
    """An ONNX file. Settings: those of `Own`, and ``output``, the name of an output if there are several."""

    kind = "onnx"
    known = SETTINGS | {"output"}

    def _parts(self, settings: Mapping[str, Any]) -> Sequence[Path]:
        del settings
        return network_files(self.kind, self.file)

    def _run(self, x: Floats) -> Any:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        session, name = self._session
        try:
            return session.run([name], {session.get_inputs()[0].name: x})[0]
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise MeasureError(f"networks: {self.file.name} cannot take {x.shape}: {cause(error)}") from error

    @cached_property
    def _session(self) -> tuple[Any, str]:
        """Return the session and the name of the output to read."""
        session = open_session(self.kind, self.file, self.device)
        inputs = [node.name for node in session.get_inputs()]
        if len(inputs) != 1:
            raise ConfigError(
                f"networks: {self.kind}: {self.file.name} takes {', '.join(inputs) or 'nothing'}; it must "
                "take one input, the picture"
            )
        names = [output.name for output in session.get_outputs()]
        name = self.output or (names[0] if len(names) == 1 else "")
        if name not in names:
            raise ConfigError(
                f"networks: {self.kind}: output: name one of {', '.join(names)} of {self.file.name}"
            )
        return session, name


class TorchScript(Own):
    """A TorchScript file. Settings: those of `Own`, and ``trusted: true``."""

    kind = "torchscript"
    known = SETTINGS | {"trusted"}

    def _parts(self, settings: Mapping[str, Any]) -> Sequence[Path]:
        if settings.get("trusted") is not True:
            raise ConfigError(
                f"networks: torchscript: {self.file} is a program, which can read and write files as it "
                "runs; name an ONNX export of it (docs/metrics.md has the command), or write 'trusted: true' "
                "if you trust whoever made it as you trust your own code"
            )
        return (self.file,)

    def _run(self, x: Floats) -> Any:
        import torch

        try:
            with torch.inference_mode():
                output = self._module(torch.from_numpy(x).to(self.device))
        except RuntimeError as error:
            why = str(error).strip().splitlines()[-1]  # the script's traceback comes before it
            raise MeasureError(f"networks: {self.file.name} cannot take {x.shape}: {why[:200]}") from error
        return output.float().cpu().numpy() if isinstance(output, torch.Tensor) else np.empty(0)

    @cached_property
    def _module(self) -> Any:
        import torch

        try:
            return torch.jit.load(self.file, map_location=self.device).eval()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise PrerequisiteError(
                f"networks: torchscript: {self.file} cannot be loaded: {cause(error)}"
            ) from error


_WANTED = {"file": "the network's file", "size": "the side of the square that it takes, in pixels"}


def _channels(kind: str, settings: Mapping[str, Any], key: str, default: float) -> NDArray[np.float32]:
    values = settings.get(key, [default] * 3)
    if not isinstance(values, list) or len(values) != 3:
        raise ConfigError(f"networks: {kind}: {key}: must be three numbers (R, G, B), not {values!r}")
    return np.array([number(kind, {key: value}, key, 0, -255, 255) for value in values], np.float32)
