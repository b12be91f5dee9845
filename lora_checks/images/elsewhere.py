"""Image sources that packages and ``conftest.py`` add: subclasses of `MadeElsewhere`.

Such images are judged, but never proven to be the LoRA's: the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from lora_checks.core.errors import ConfigError, LoraChecksError, MeasureError, first_line
from lora_checks.core.extensions import ExtensionPoint
from lora_checks.core.records import ImageFile, ImageSet, Lora, PromptSet, Proof
from lora_checks.core.words import count
from lora_checks.images import decoding, plan
from lora_checks.images.source import CAVEAT, Evidence, Shown
from lora_checks.lora.candidates import Candidate

OPTION = "--lora-source"
EXTENSIONS = ExtensionPoint("lora_checks.image_sources", "image source", ("generated", "provided"))

C = TypeVar("C", bound=type["MadeElsewhere"])


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of an image source."""

    argument: str  # what follows the name: "bucket/run7" in --lora-source shades:bucket/run7
    here: Path  # the folder of the command; relative paths start there
    prompts: PromptSet  # the prompts and seeds whose images are wanted
    cache: Path  # a folder of the store that belongs to this source


class MadeElsewhere:
    """Base of an image source of your own. A subclass supplies `pictures`, and `bases` if it has them."""

    check = "images"
    caveat = CAVEAT
    generates = False

    def __init__(self, request: Request) -> None:
        self.request = request
        self.origin = type(self).__name__  # for the record; the gate adds the package and its version
        self._images: dict[str, ImageSet] = {}  # by the LoRA's name

    def pictures(self, lora: Lora) -> Mapping[str, Path]:
        """Return the file of each image with the LoRA, by "prompt-id/seed"."""
        raise NotImplementedError

    def bases(self) -> Mapping[str, Path]:
        """Return the file of each image without the LoRA, by "prompt-id/seed"; empty if there are none."""
        return {}

    # -- the protocol of `ImageSource`

    @property
    def facts(self) -> Mapping[str, Any]:
        empty = dict.fromkeys(("images_from", "baseline_images", "made_with"), "")
        return {"elsewhere": {"images": self.origin, **empty, "caveat": self.caveat}, "companions": []}

    def preflight(self) -> Sequence[str]:
        """Find what is wrong before a network is loaded; return warnings."""
        return ()

    def interim(self, sets: Sequence[Sequence[str]]) -> None:
        """Change nothing: the images exist already."""

    def ahead(self, loras: Callable[[], Iterable[Lora]], with_base: bool) -> None:
        """Change nothing: no pipeline has to come and go."""

    def prove(self, lora: Lora) -> Proof:
        raise ConfigError(f"{lora.path}: {self.caveat}")

    def evidence(self, lora: Lora) -> Evidence:
        """Decode each picture."""
        images = self.candidate(lora, self.request.prompts).images
        for image in images:
            decoding.pixels_of(image)
        pictures = {image.name: {"file": image.path.name, "sha256": image.sha256} for image in images}
        return Evidence(
            f"{count(len(images), 'picture')} of {self.origin}, made elsewhere", {"pictures": pictures}
        )

    def candidate(self, lora: Lora, prompts: PromptSet) -> ImageSet:
        if lora.name not in self._images:
            self._images[lora.name] = self._set("candidate", self.pictures(lora), prompts)
        return self._images[lora.name]

    def counterparts(self, images: ImageSet) -> ImageSet:
        whole = {image.name: image for image in self.baseline().images}
        return ImageSet("baseline", tuple(whole[image.name] for image in images.images))

    def baseline(self) -> ImageSet:
        files = self.bases()
        if not files:
            raise ConfigError(f"{self.origin} has no images without the LoRA, which this row needs")
        return self._set("baseline", files, self.request.prompts)

    def folder(self, lora: Lora) -> Path:
        return self.candidate(lora, self.request.prompts).images[0].path.parent

    def shown(self, candidate: Candidate, sha256: str, names: Sequence[str]) -> Sequence[Shown]:
        del sha256, names  # all of them were judged
        images = self.candidate(candidate.read(), self.request.prompts)
        try:
            bases: Sequence[ImageFile | None] = self.counterparts(images).images
        except LoraChecksError:
            bases = [None] * len(images.images)
        return [Shown(image, base, "") for image, base in zip(images.images, bases, strict=True)]

    def _set(self, name: str, files: Mapping[str, Path], prompts: PromptSet) -> ImageSet:
        """Read exactly one file for each prompt and seed, none of them twice."""
        wanted = plan.names(prompts)
        missing, surplus = [n for n in wanted if n not in files], [n for n in files if n not in wanted]
        for what, some in (("are missing", missing), ("are not asked for", surplus)):
            if some:
                raise MeasureError(f"{self.origin}: {len(some)} pictures {what} ({some[0]})")
        made = [decoding.image_file(Path(files[n])) for n in wanted]
        first: dict[str, str] = {}
        for key, image in zip(wanted, made, strict=True):
            if (twin := first.setdefault(image.sha256, key)) != key:
                raise MeasureError(f"{self.origin}: {twin} and {key} are the same picture")
        pairs = [(prompt, seed) for prompt in prompts.prompts for seed in prompts.seeds]
        return ImageSet(
            name,
            tuple(
                replace(image, name=key, prompt=pair[0], seed=pair[1])
                for image, key, pair in zip(made, wanted, pairs, strict=True)
            ),
        )


def image_source(name: str) -> Callable[[C], C]:
    """Declare an image source: a subclass of `MadeElsewhere`, opened by ``--lora-source NAME[:ARGUMENT]``.

    Raises:
        ConfigError: The name is the gate's own, or another file declares it.
    """
    return EXTENSIONS.declare(name, depth=2)


def open_source(text: str, here: Path, prompts: PromptSet, store: Path) -> MadeElsewhere:
    """Open the image source ``NAME[:ARGUMENT]``.

    Raises:
        ConfigError: Nobody adds a source of that name, or it cannot be opened.
    """
    name, _, argument = text.partition(":")
    extension = EXTENSIONS.get(name)
    if extension is None:
        known = ", ".join(EXTENSIONS.names()) or "none is installed"
        raise ConfigError(f"{OPTION}: there is no image source '{name}'; known: {known}")
    kind = extension.load()
    if not (isinstance(kind, type) and issubclass(kind, MadeElsewhere)):
        raise ConfigError(f"{OPTION}: '{name}' of {extension.source} is not a subclass of MadeElsewhere")
    try:
        source = kind(Request(argument, here, prompts, store / "sources" / name))
    except LoraChecksError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{OPTION}: '{name}' of {extension.source} cannot be opened: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    source.check, source.generates, source.caveat = "images", False, CAVEAT  # not for a package to change
    source.origin = f"{text} ({extension.source})"
    return source
