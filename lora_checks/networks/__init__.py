"""Build the networks of a policy by name; each has its own file, which is imported only when it runs.

Constructing an extractor is cheap and torch-free: it checks that the weights are on this machine (else
`PrerequisiteError` says what to install or download where) and fixes ``id``. The network itself is
loaded by the first call that needs it, so a run whose features are all stored never imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.contents import Contents
from lora_checks.core.device import choose_device
from lora_checks.core.errors import ConfigError, LoraChecksError, PrerequisiteError, first_line
from lora_checks.core.extensions import Extension, ExtensionPoint, code_of
from lora_checks.core.records import Metric
from lora_checks.images.decoding import Pixels

Floats = NDArray[np.float32]
T = TypeVar("T")


@runtime_checkable
class Extractor(Protocol):
    """A network: an identity for the store, and a name for people."""

    id: str  # name, settings, preprocessing version and digest of the weights
    label: str  # "CLIP ViT-B/32 (openai)"


@runtime_checkable
class FromFiles(Protocol):
    """A network that is loaded from files; its ``id`` holds their digests."""

    files: Contents


def refuse_changed(network: Extractor) -> None:
    """Raise `PrerequisiteError` if a file of the network changed after its ``id`` was made.

    Libraries open the files themselves, when the network is first needed. So call this after the network has
    worked and before its result is stored under its ``id``.
    """
    if isinstance(network, FromFiles) and (changed := network.files.changed_in_use()):
        raise PrerequisiteError(
            f"{network.label}: its weights changed while they were being used ({changed}); run again when "
            "nothing writes to them"
        )


@runtime_checkable
class ImageExtractor(Extractor, Protocol):
    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32, a row for each image; a row of NaN if the image shows nothing to measure."""


@runtime_checkable
class Streaming(ImageExtractor, Protocol):
    """A network for large sets: several threads may call it at once, and it keeps nothing of a picture."""

    def streamed(self, pixels: Sequence[Pixels]) -> Floats:
        """Return what `images` returns."""


@runtime_checkable
class ManyParts(ImageExtractor, Protocol):
    """A network that computes several things in one pass; ``parts`` says where each is in a row."""

    parts: Mapping[str, slice]  # "features" is what `images` returns

    def rows(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32, all parts side by side."""


@runtime_checkable
class FaceExtractor(ManyParts, Protocol):
    """A network that finds faces, and computes features and landmarks of the one that counts."""

    def aligned(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32, assuming a face in the middle of each picture instead of looking for one."""


@runtime_checkable
class TextExtractor(Extractor, Protocol):
    def texts(self, texts: Sequence[str]) -> Floats:
        """Return (N, D) float32 in the space of ``images``; raise `MeasureError` if a text is too long."""


@runtime_checkable
class PairExtractor(Extractor, Protocol):
    """A network that measures pairs of images, such as LPIPS."""

    def distances(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """Return the distance of every x to every y, (N, M) float32.

        The sequences may decode an image at each access, so do not hold all of them.
        """

    def paired(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """Return the distance of x[i] to y[i], (N,) float32; the lengths must be equal."""


KINDS = {
    "aesthetic": "lora_checks.networks.aesthetic:Aesthetic",
    "dino": "lora_checks.networks.dino:Dino",
    "onnx": "lora_checks.networks.own:Onnx",
    "torchscript": "lora_checks.networks.own:TorchScript",
    "clip": "lora_checks.networks.clip:Clip",
    "judge": "lora_checks.networks.vlm.model:VisionModel",
    "inception": "lora_checks.networks.inception:Inception",
    "arcface": "lora_checks.networks.arcface:ArcFace",
    "sface": "lora_checks.networks.sface:SFace",
    "opennsfw": "lora_checks.networks.safety:OpenNsfw",
    "classifier": "lora_checks.networks.safety:Classifier",
    "lpips": "lora_checks.networks.lpips:Lpips",
    "spectrum": "lora_checks.networks.spectrum:Spectrum",
    "trunk": "lora_checks.networks.trunk:Trunk",
}
# What several kinds of network do alike: a metric may ask for one of these instead of for a kind.
ROLES: Mapping[str, tuple[str, ...]] = {
    "face": ("arcface", "sface"),
    "judge": ("judge",),
    "safety": ("opennsfw", "classifier"),
}
OF_ALL = ("kind", "self_test", "device")  # settings that every network has
_DEVICE = "_lora_checks_device"  # attribute of a network
EXTENSIONS = ExtensionPoint("lora_checks.networks", "network", KINDS)


def network(kind: str) -> Callable[[T], T]:
    """Declare a network for ``kind: KIND`` in a policy's ``networks:``.

    The decorated class or function is called with ``(settings, device, cache=folder)`` and returns an
    `Extractor` that is also an `ImageExtractor`, a `TextExtractor` or a `PairExtractor`. Its ``id`` has to
    change with everything that changes its numbers: settings, preprocessing, weights. The gate adds the
    digest of the declaring file, and for a package its name and version.

    Raises:
        ConfigError: The kind is the gate's own, or another file declares it.
    """
    return EXTENSIONS.declare(kind, depth=2)


def kind_of(slot: str, settings: Mapping[str, Any]) -> str:
    return str(settings.get("kind", slot))


def slot_of(metric: Metric, asked: str, networks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the slot of the policy's ``networks:`` that serves a metric; "" if the metric reads pixels.

    A row may ask for another slot than the metric's default. A metric that is defined by its network (FID by
    Inception, LPIPS by LPIPS) then requires one of the same kind; for "*" the row has to name the slot. A
    metric that asks for a role (`ROLES`) takes the policy's only network in that role.

    Args:
        metric: What is measured.
        asked: The row's ``network:``, or "".
        networks: Slot -> settings.

    Raises:
        ConfigError: No slot serves the metric.
    """
    if metric.extractor in ROLES:
        return _slot_in_role(metric, asked, networks)
    slot = asked or metric.extractor
    if not slot:
        return ""
    if slot == "*":
        raise ConfigError(f"{metric.name} works on any network; say which with 'network: SLOT'")
    if not metric.extractor:
        raise ConfigError(f"{metric.name} looks at pixels; remove 'network: {asked}'")
    if slot not in networks:
        raise ConfigError(f"metric '{metric.name}' needs a network '{slot}' under networks: in the policy")
    wanted, kind = metric.extractor, kind_of(slot, networks[slot])
    if kind == "judge":
        raise ConfigError(f"{metric.name} compares features, and '{slot}' answers questions; measure 'judge'")
    other_faces = kind != wanted and {kind, wanted} <= set(ROLES["face"])  # whatever the slot is called
    if other_faces or (
        asked and wanted not in ("*", slot, kind) and kind != kind_of(wanted, networks.get(wanted, {}))
    ):
        raise ConfigError(f"{metric.name} needs a network of kind {wanted}, and '{slot}' is of kind {kind}")
    return slot


def _slot_in_role(metric: Metric, asked: str, networks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the slot that the row asks for, the one that is named after the role, or the only one in it."""
    role, kinds = metric.extractor, " or ".join(ROLES[metric.extractor])
    fitting = [slot for slot, settings in networks.items() if in_role(role, slot, settings)]
    if asked and asked not in fitting:
        if asked not in networks:
            raise ConfigError(f"{metric.name} needs a network '{asked}' under networks: in the policy")
        kind = kind_of(asked, networks[asked])
        raise ConfigError(f"{metric.name} needs a network of kind {kinds}, and '{asked}' is of kind {kind}")
    if not fitting:
        raise ConfigError(
            f"metric '{metric.name}' needs a network of kind {kinds} under networks: in the policy"
        )
    if not asked and role not in fitting and len(fitting) > 1:
        raise ConfigError(
            f"{metric.name} could be measured through {' and '.join(fitting)}; say which with 'network: SLOT'"
        )
    return asked or (role if role in fitting else fitting[0])


def in_role(role: str, slot: str, settings: Mapping[str, Any]) -> bool:
    """Return whether a slot of the policy serves a role: by its kind, or by its name if a package's kind."""
    return slot == role or bool({slot, kind_of(slot, settings)} & set(ROLES[role]))


def sees_faces(extractor: str) -> bool:
    """Return whether a metric's network finds faces, so that a missing value is a missing face."""
    return extractor == "face" or extractor in ROLES["face"]


def licence_of(network: object) -> str:
    """Return the licence of a network's weights, as far as it is known; "" if it is not."""
    return str(getattr(network, "licence", ""))


def build(slot: str, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> Extractor:
    """Construct the extractor for a slot of the policy's ``networks:``.

    Args:
        slot: Its name, which is also its kind unless ``settings`` has ``kind``.
        settings: What the policy says under that name.
        device: Where it computes, such as "cpu" or "cuda:1", unless ``settings`` has ``device``.
        cache: A folder for files that the network makes for itself, such as a faster form of its weights.

    Raises:
        ConfigError: The kind or a setting is unknown.
        PrerequisiteError: Weights or a package are missing on this machine.
    """
    kind = kind_of(slot, settings)
    if "device" in settings:
        device = choose_device(str(settings["device"]), f"networks: {slot}: device")
    settings = {key: value for key, value in settings.items() if key not in OF_ALL}
    extension = EXTENSIONS.get(kind)
    if extension is not None:
        return on_device(_custom(slot, extension, settings, device, cache), device)
    if kind not in KINDS:
        known = ", ".join(sorted({*KINDS, *EXTENSIONS.names()}))
        raise ConfigError(f"networks: {slot}: unknown kind '{kind}'; known: {known}")
    module, _, name = KINDS[kind].partition(":")
    extractor: Extractor = getattr(import_module(module), name)(settings, device, cache=cache)
    return on_device(extractor, device)


def on_device(network: T, device: str) -> T:
    """Note what kind of device a network computes on: its numbers are stored apart from another kind's."""
    try:
        setattr(network, _DEVICE, device.partition(":")[0])
    except AttributeError as error:
        name = type(network).__name__
        raise ConfigError(f"{name} does not let an attribute be set; leave out __slots__") from error
    return network


def device_of(network: object) -> str:
    """Return the kind of device that `on_device` noted: "cpu", "cuda" or "mps"."""
    return str(getattr(network, _DEVICE, "cpu"))


def _custom(
    slot: str, extension: Extension, settings: Mapping[str, Any], device: str, cache: Path | None
) -> Extractor:
    """Construct a network that a package or a file adds, and add that origin to its ``id``."""
    make = extension.load()
    where = f"networks: {slot}: the network of {extension.source}"
    try:
        extractor = make(settings, device, cache=cache)
    except LoraChecksError:
        raise
    except Exception as error:
        raise PrerequisiteError(
            f"{where} cannot be set up: {type(error).__name__}: {first_line(error)}"
        ) from error
    _refuse_unfit(where, extractor)
    origin = f" from={extension.version}" if extension.version else ""
    try:
        extractor.id = f"{extractor.id}{origin} code={code_of(extension, make)}"
    except AttributeError as error:
        raise ConfigError(f"{where} does not let its `id` be set; make it an ordinary attribute") from error
    checked: Extractor = extractor
    return checked


def _refuse_unfit(where: str, extractor: object) -> None:
    for name in ("id", "label"):
        text = getattr(extractor, name, None)
        if not isinstance(text, str) or not text:
            raise ConfigError(f"{where} has no `{name}`; set it to a non-empty text")
    if not isinstance(extractor, ImageExtractor | TextExtractor | PairExtractor):
        raise ConfigError(f"{where} has none of the methods `images`, `texts`, `distances` with `paired`")
