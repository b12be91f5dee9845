"""Run LPIPS, the learned perceptual distance of two images (Zhang et al. 2018), from the ``lpips`` package.

LPIPS is the squared Euclidean distance of two vectors: each layer's features, scaled to unit length over
the channels, times the square root of the layer's learned weights, over the number of positions. So the
network runs once per image instead of once per pair, and all pairs are a matrix product. That product is
taken in double precision, because |a|^2 + |b|^2 - 2ab in single precision is off by 1e-5 near zero.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.convolution import speed_up
from lora_checks.networks.kept import Kept, key_of
from lora_checks.networks.resize import resized
from lora_checks.networks.weights import check_keys, identity, known_digests, local_file, torch_hub_file

if TYPE_CHECKING:
    from torch import Tensor

TRUNKS = {  # torchvision's names; the digits are the first of the file's SHA-256
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
URL = "https://download.pytorch.org/models/"
VERSIONS = ("0.1",)
SMALLEST = 32  # pixels: below it the deepest layers have nothing left to look at
BATCH_BYTES = 128 << 20  # vectors multiplied at a time
ROUNDING = 1e-13  # of double precision sums, relative to their terms
CHUNK = 1 << 14  # columns converted to double precision at a time: they stay in the cache


class PerceptualDistance:
    """Measure pairs of images with an ``lpips.LPIPS``, which ``load`` creates when it is needed."""

    def __init__(self, file: Path, load: Callable[[], Any], device: str) -> None:
        self.file, self.device = file, device
        self._load = load
        self._kept = Kept()

    def distances(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """Return the distance of every x to every y, (N, M) float32; 0 for equal images.

        If sizes differ, y is scaled to the size of x (PIL bicubic). Vectors are cached for later pairs (see
        `Kept`); memory does not depend on N or M.
        """
        out = np.empty((len(x), len(y)), np.float32)
        seen: dict[tuple[int, tuple[int, int]], str] = {}
        for rows, a, size in self._batches(x):
            for columns, b in self._others(y, size, seen):
                out[np.ix_(rows, columns)] = _squared_distances(a, b)
        return out

    def paired(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """Return the distance of x[i] to y[i], (N,) float32."""
        if len(x) != len(y):
            raise MeasureError(f"pairs need equally many images on both sides, not {len(x)} and {len(y)}")
        return np.array([self._pair(a, b) for a, b in zip(x, y, strict=True)], np.float32)

    def _pair(self, x: Pixels, y: Pixels) -> float:
        import torch

        difference = self._vector(x) - self._vector(resized(y, x.shape[:2]))
        return float(difference.square_().sum(dtype=torch.float64))

    def _batches(self, x: Sequence[Pixels]) -> Iterator[tuple[list[int], list[Tensor], tuple[int, int]]]:
        """Yield runs of images of one size: their indices, vectors and size."""
        rows: list[int] = []
        vectors: list[Tensor] = []
        size = (0, 0)
        for i, image in enumerate(x):
            if rows and (image.shape[:2] != size or _full(vectors)):
                yield rows, vectors, size
                rows, vectors = [], []
            size = image.shape[:2]
            rows.append(i)
            vectors.append(self._vector(image))
        if rows:
            yield rows, vectors, size

    def _others(
        self, y: Sequence[Pixels], size: tuple[int, int], seen: dict[tuple[int, tuple[int, int]], str]
    ) -> Iterator[tuple[list[int], list[Tensor]]]:
        columns: list[int] = []
        vectors: list[Tensor] = []
        for j in range(len(y)):
            if columns and _full(vectors):
                yield columns, vectors
                columns, vectors = [], []
            columns.append(j)
            vectors.append(self._known(y, j, size, seen))
        if columns:
            yield columns, vectors

    def _known(
        self, y: Sequence[Pixels], j: int, size: tuple[int, int], seen: dict[tuple[int, tuple[int, int]], str]
    ) -> Tensor:
        """Return the vector of y[j] at a size; decode a cached picture only once in a call."""
        key = seen.get((j, size))
        if key is None or key not in self._kept:
            image = resized(y[j], size)
            seen[j, size] = key_of(image)
            return self._vector(image)
        return self._kept.get(key, lambda: self._made(resized(y[j], size)))[: -self._width]

    def _vector(self, image: Pixels) -> Tensor:
        """Return (D,) float32 on the CPU; the squared distance of two vectors is LPIPS."""
        return self._kept.get(key_of(image), lambda: self._made(image))[: -self._width]

    def mean_of_last_layer(self, image: Pixels) -> Tensor:
        """Return (C,) float32 on the CPU: the deepest activations, averaged over the picture."""
        return self._kept.get(key_of(image), lambda: self._made(image))[-self._width :]

    def _made(self, image: Pixels) -> Tensor:
        """Compute both from one pass, concatenated."""
        import torch

        with torch.inference_mode():
            layers = self._layers(image)
            parts = [_scaled(layer, root) for layer, root in zip(layers, self._roots, strict=True)]
            return torch.cat([*parts, layers[-1].mean(dim=(0, 2, 3))]).cpu()

    @property
    def _width(self) -> int:
        return len(self._roots[-1])

    def _layers(self, image: Pixels) -> Sequence[Tensor]:
        """Return the trunk's activations, (1, C, H, W) each; call under ``torch.inference_mode``."""
        import torch

        if min(image.shape[:2]) < SMALLEST:
            height, width = image.shape[:2]
            raise MeasureError(f"an image of {width} x {height} pixels is too small; use at least {SMALLEST}")
        x = torch.tensor(image, device=self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
        layers: Sequence[Tensor] = self._module.net(self._module.scaling_layer(x))
        return layers

    @cached_property
    def _roots(self) -> list[Tensor]:
        """Return the square roots of each layer's weights, (C,)."""
        weights = [lin.model[-1].weight.detach().flatten() for lin in self._module.lins]
        if min(float(weight.min()) for weight in weights) < 0:
            raise PrerequisiteError(
                f"{self.file} is damaged: LPIPS weights are never negative; download it again"
            )
        return [weight.sqrt() for weight in weights]

    @cached_property
    def _module(self) -> Any:
        import torch

        # Channels last is a tenth faster and changes no value by more than rounding.
        module = self._load().to(self.device, memory_format=torch.channels_last)
        if self.device == "cpu":
            speed_up(module)
        return module


class Lpips(PerceptualDistance):
    """LPIPS. Settings: ``net`` (alex, vgg, squeeze), ``version``; ``trunk_file``, torchvision's weights."""

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("lpips", settings, {"net", "version", "trunk_file"})
        net = check_net("lpips", settings.get("net", "alex"))
        version = str(settings.get("version", "0.1"))
        if version not in VERSIONS:
            raise ConfigError(f"networks: lpips: version: '{version}' is not one of {', '.join(VERSIONS)}")
        name = TRUNKS[net]
        if "trunk_file" in settings:
            file = local_file("lpips", "trunk_file", settings["trunk_file"])
        else:
            file = torch_hub_file("lpips", name, URL + name)
        lins = _lins(net, version)
        super().__init__(file, lambda: _load(net, file, lins), device)
        self.files = Contents(file, lins, known=known_digests(cache))
        self.id = identity("lpips", "1", {"net": net, "version": version}, self.files.digests)
        published = self.files.sha256(file).startswith(name.rpartition("-")[2].removesuffix(".pth"))
        self.label = f"LPIPS {net} v{version}" + ("" if published else f" with {file.name}")


def _lins(net: str, version: str) -> Path:
    """Return the path of the learned layer weights, which the lpips package contains."""
    spec = find_spec("lpips")
    if spec is None or spec.origin is None:
        raise PrerequisiteError("networks: lpips: the package is not installed; pip install lpips")
    return Path(spec.origin).parent / "weights" / f"v{version}" / f"{net}.pth"


def _load(net: str, file: Path, lins: Path) -> Any:
    import torch

    module = lpips_module(net)
    learned = torch.load(lins, map_location="cpu", weights_only=True)
    module.load_state_dict(learned, strict=False, assign=True)
    try:
        published = torch.load(file, map_location="cpu", weights_only=True)
        # lpips splits torchvision's network into slices, whose layers keep their numbers.
        names = {name: f"features.{name.partition('.')[2]}" for name in module.net.state_dict()}
        module.net.load_state_dict({name: published[of] for name, of in names.items()}, assign=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise PrerequisiteError(
            f"{file} does not hold torchvision's {net} weights; download {URL}{TRUNKS[net]}"
        ) from error
    return module


def check_net(kind: str, net: object) -> str:
    if not isinstance(net, str) or net not in TRUNKS:
        raise ConfigError(f"networks: {kind}: net: {net!r} is not one of {', '.join(TRUNKS)}")
    return net


def lpips_module(net: str) -> Any:
    """Return an ``lpips.LPIPS`` in inference mode without weights; the caller has to assign all of them."""
    import lpips
    import torch

    with warnings.catch_warnings(), torch.device("meta"):  # random numbers for 61 million weights are slow
        warnings.simplefilter("ignore")  # lpips uses a deprecated parameter of torchvision
        module = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False).eval()
    module.scaling_layer = lpips.ScalingLayer()
    return module


def _scaled(layer: Tensor, root: Tensor) -> Tensor:
    """Scale (1, C, H, W) to unit length over channels, (C*H*W,); lpips adds epsilon outside the root."""
    length = layer.square().sum(dim=1, keepdim=True).sqrt_().add_(1e-10)
    positions = layer.shape[2] * layer.shape[3]
    return (layer / length).mul_((root / positions**0.5).view(-1, 1, 1)).flatten()


def _squared_distances(x: Sequence[Tensor], y: Sequence[Tensor]) -> Floats:
    """Return the squared distances of N and M vectors, (N, M), summed in double precision."""
    import torch

    products = torch.zeros(len(x), len(y), dtype=torch.float64)
    x_norms, y_norms = products.new_zeros(len(x), 1), products.new_zeros(len(y))
    a, b = products.new_empty(len(x), CHUNK), products.new_empty(len(y), CHUNK)
    for start in range(0, len(x[0]), CHUNK):
        width = min(CHUNK, len(x[0]) - start)
        for rows, vectors in ((a, x), (b, y)):
            for row, vector in zip(rows, vectors, strict=True):
                row[:width].copy_(vector[start : start + width])
        products.addmm_(a[:, :width], b[:, :width].T)
        x_norms += a[:, :width].square().sum(dim=1, keepdim=True)
        y_norms += b[:, :width].square().sum(dim=1)
    norms = x_norms + y_norms
    distances = norms - 2 * products
    distances[distances < ROUNDING * norms] = 0  # equal images have distance 0, not 4e-16
    result: Floats = distances.float().numpy()
    return result


def _full(vectors: Sequence[Tensor]) -> bool:
    """Tell whether one more vector would exceed ``BATCH_BYTES``; a batch's vectors have one length."""
    return bool(vectors) and (len(vectors) + 1) * _bytes(vectors[0]) > BATCH_BYTES


def _bytes(vector: Tensor) -> int:
    return vector.numel() * vector.element_size()
