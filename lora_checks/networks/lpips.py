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
from lora_checks.networks import Floats, pairs
from lora_checks.networks.convolution import speed_up
from lora_checks.networks.kept import Kept
from lora_checks.networks.pairs import Batch, Side, Size
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
ROUNDING = 1e-13  # of double precision sums, relative to their terms


class PerceptualDistance:
    """Measure pairs of images with an ``lpips.LPIPS``, which ``load`` creates when it is needed."""

    def __init__(self, file: Path, load: Callable[[], Any], device: str) -> None:
        self.file, self.device = file, device
        self._load = load
        self._kept = Kept()
        self._sizes: dict[str, Size] = {}  # by the digest of a picture's file
        self._mirrored: dict[tuple[str, str], float] = {}  # distances of files that are on both sides
        self._norms: dict[str, float] = {}  # squared lengths, by the key of the vector

    def distances(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """Return the distance of every x to every y, (N, M) float32; 0 for equal images.

        If sizes differ, y is scaled to the size of x (PIL bicubic). Vectors are cached for later pairs (see
        `Kept`); memory does not depend on N or M.
        """
        out = np.empty((len(x), len(y)), np.float32)
        others = self._side(y)
        for size, rows in self._batches(self._side(x)):
            fresh = self._fill_mirrored(out, rows, others, size)
            for columns in self._others(others, fresh, size):
                found = self._squared_distances(rows, columns)
                out[np.ix_(rows.places, columns.places)] = found
                self._remember(rows, columns, found, others, size)
        return out

    def paired(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """Return the distance of x[i] to y[i], (N,) float32."""
        if len(x) != len(y):
            raise MeasureError(f"pairs need equally many images on both sides, not {len(x)} and {len(y)}")
        a, b = self._side(x), self._side(y)
        return np.array([self._pair(a, b, i) for i in range(len(x))], np.float32)

    def _side(self, pictures: Sequence[Pixels]) -> Side:
        return Side(pictures, self._sizes)

    def _pair(self, x: Side, y: Side, i: int) -> float:
        size = x.size(i)
        return pairs.squared_distance(self._vector(x, i, size), self._vector(y, i, size))

    def _batches(self, x: Side) -> Iterator[tuple[Size, Batch]]:
        """Yield runs of images of one size, as many at a time as `BATCH_BYTES` hold."""
        batch, last = Batch(), (0, 0)
        for i in range(len(x)):
            size = x.size(i)
            if batch.places and (size != last or batch.full()):
                yield last, batch
                batch = Batch()
            last = size
            self._add(batch, x, i, size)
        if batch.places:
            yield last, batch

    def _fill_mirrored(self, out: Floats, rows: Batch, y: Side, size: Size) -> list[int]:
        """Fill in the columns whose distances were computed as rows before; return the other columns."""
        fresh = []
        for j in range(len(y)):
            file = y.of_file(j, size)
            known = [self._mirrored.get((file, key)) for key in rows.keys] if file else [None]
            if None in known:
                fresh.append(j)
            else:
                out[rows.places, j] = known
        return fresh

    def _remember(self, rows: Batch, columns: Batch, found: Floats, y: Side, size: Size) -> None:
        """Keep the distances of files that are on both sides, such as references to each other."""
        files = {y.of_file(j, size) for j in range(len(y))}
        for key, distances in zip(rows.keys, found, strict=True):
            if key in files:
                self._mirrored |= {(key, other): d for other, d in zip(columns.keys, distances, strict=True)}

    def _others(self, y: Side, columns: Sequence[int], size: Size) -> Iterator[Batch]:
        """Yield pictures at one size, as many at a time as `BATCH_BYTES` hold."""
        batch = Batch()
        for j in columns:
            if batch.full():
                yield batch
                batch = Batch()
            self._add(batch, y, j, size)
        if batch.places:
            yield batch

    def _add(self, batch: Batch, side: Side, i: int, size: Size) -> None:
        batch.places.append(i)
        batch.keys.append(side.key(i, size))
        batch.vectors.append(self._vector(side, i, size))

    def _squared_distances(self, x: Batch, y: Batch) -> Floats:
        """Return the squared distances of two batches, (N, M), summed in double precision."""
        import torch

        x_norms, y_norms = (torch.tensor(self._norms_of(batch), dtype=torch.float64) for batch in (x, y))
        norms = x_norms[:, None] + y_norms
        distances = norms - 2 * pairs.products(x.vectors, y.vectors, self.device)
        distances[distances < ROUNDING * norms] = 0  # equal images have distance 0, not 4e-16
        result: Floats = distances.float().numpy()
        return result

    def _norms_of(self, batch: Batch) -> list[float]:
        """Return the squared length of each vector, summed in double precision once for each."""
        for key, vector in zip(batch.keys, batch.vectors, strict=True):
            if key not in self._norms:
                self._norms[key] = float(pairs.products([vector], [vector], "cpu"))
        return [self._norms[key] for key in batch.keys]

    def _vector(self, side: Side, i: int, size: Size) -> Tensor:
        """Return (D,) float32 on the CPU; the squared distance of two vectors is LPIPS."""
        return self._both(side, i, size)[: -self._width]

    def _both(self, side: Side, i: int, size: Size) -> Tensor:
        return self._kept.get(side.key(i, size), lambda: self._made(side.pixels(i, size)))

    def mean_of_last_layer(self, pictures: Sequence[Pixels]) -> Floats:
        """Return (N, C) float32: the deepest activations, averaged over each picture."""
        side = self._side(pictures)
        return np.stack([self._both(side, i, side.size(i))[-self._width :].numpy() for i in range(len(side))])

    def last_layer(self, image: Pixels) -> Tensor:
        """Return `mean_of_last_layer` without keeping anything of the picture."""
        import torch

        with torch.inference_mode():
            return self._layers(image)[-1].mean(dim=(0, 2, 3)).cpu()

    def _made(self, image: Pixels) -> Tensor:
        """Compute both from one pass, concatenated."""
        import torch

        with torch.inference_mode():
            layers = self._layers(image)
            last = layers[-1].mean(dim=(0, 2, 3))
            made = last.new_empty(sum(layer.numel() for layer in layers) + len(last))
            start = 0
            for layer, root in zip(layers, self._roots, strict=True):
                _scale(layer, root, made[start : start + layer.numel()].view(layer.shape))
                start += layer.numel()
            made[start:] = last
            return made.cpu()

    @property
    def _width(self) -> int:
        return len(self._roots[-1])

    def _layers(self, image: Pixels) -> Sequence[Tensor]:
        """Return the trunk's activations, (1, C, H, W) each; call under ``torch.inference_mode``."""
        import torch

        if min(image.shape[:2]) < SMALLEST:
            height, width = image.shape[:2]
            raise MeasureError(f"an image of {width} x {height} pixels is too small; use at least {SMALLEST}")
        x = torch.tensor(image, device=self.device).permute(2, 0, 1)[None].float().div_(127.5).sub_(1)
        scaling = self._module.scaling_layer  # what it does, without two copies of the picture
        layers: Sequence[Tensor] = self._module.net(x.sub_(scaling.shift).div_(scaling.scale))
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


def _scale(layer: Tensor, root: Tensor, out: Tensor) -> None:
    """Scale (1, C, H, W) to unit length over channels; lpips adds epsilon outside the root."""
    import torch

    # The squares go where the result will be, in the order of the layer, on which the last digit depends.
    squares = torch.mul(layer, layer, out=out.as_strided(layer.shape, layer.stride()))
    length = squares.sum(dim=1, keepdim=True).sqrt_().add_(1e-10)
    positions = layer.shape[2] * layer.shape[3]
    torch.div(layer, length, out=out).mul_((root / positions**0.5).view(-1, 1, 1))
