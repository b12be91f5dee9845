"""Find the modules of the base that a layer's name means.

The base decides: a name that it has is that module. Only then a table of the original model's names is
asked (`native_names`), and last the rules of old spellings. kohya and others flatten names ("_" for "."),
and only the base can tell which underscores were dots; so names are compared flattened. A name that means
two modules, or a denoiser of which the base has two, is an error and never a guess.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lora_checks.core.errors import GenerationError
from lora_checks.lora.header import shown
from lora_checks.lora.native_names import Native, table_of
from lora_checks.lora.spelling import Spelt, split_prefix

# Wrappers around a text encoder that versions of transformers, and classes of one model, have or have not.
_WRAPPERS = re.compile(r"(?:(?:text_model|language_model|model)_)+")
# The text encoders' attention in diffusers' old spelling (utils/state_dict_utils.py, DIFFUSERS_OLD_TO_PEFT).
_OLD_ATTENTION = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}

# A part of an original denoiser that is a network of its own in diffusers (Anima's loader converts it so).
_PARTS = {"llm_adapter": "text_conditioner"}


def is_text_encoder(component: str) -> bool:
    """Return whether a component's name, or the hint of a prefix, means a text encoder."""
    return component.startswith("text_encoder") or component in ("T5", "LLM")


def text_module(flat: str) -> str:
    """Normalise a text encoder's flattened module name."""
    wrapped = _WRAPPERS.match(flat)
    flat = flat[wrapped.end() :] if wrapped else flat
    head, separator, last = flat.rpartition("_self_attn_")
    return head + separator + _OLD_ATTENTION.get(last, last)


@dataclass(frozen=True, slots=True)
class Network:
    """The names of one network of the base."""

    component: str  # what the pipeline calls it
    classes: tuple[str, ...]  # names of its class and of those it derives from
    paths: Mapping[str, tuple[str, ...]]  # flattened name -> modules that have it

    @classmethod
    def of(cls, component: str, classes: Iterable[str], paths: Iterable[str]) -> Network:
        """Return the network with the modules ``paths``, as `torch.nn.Module.named_modules` spells them."""
        flattened: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            flat = path.replace(".", "_")
            flattened[text_module(flat) if is_text_encoder(component) else flat].append(path)
        return cls(component, tuple(classes), {flat: tuple(some) for flat, some in flattened.items()})

    def find(self, module: str) -> Native | None:
        """Return the modules' paths for a name without its prefix; None if it means none.

        Raises:
            GenerationError: The name means two modules.
        """
        for name in _spellings(module, is_text_encoder(self.component)):
            path = self._path(name)
            if path:
                return Native((path,))
            table = table_of(self.classes)
            native = table.find(name.replace(".", "_")) if table else None
            if native:
                paths = tuple(path for path in map(self._path, native.targets) if path)
                if len(paths) == len(native.targets):
                    return replace(native, targets=paths)
        return None

    def _path(self, name: str) -> str | None:
        flat = name.replace(".", "_")
        paths = self.paths.get(text_module(flat) if is_text_encoder(self.component) else flat, ())
        if len(paths) > 1 and name not in paths:
            raise GenerationError(
                f"the name {shown(name)} means several modules of the base's {self.component}: "
                f"{' and '.join(paths[:2])}; save the LoRA with dots in its names"
            )
        return name if name in paths else next(iter(paths), None)


def _spellings(module: str, text: bool) -> Iterator[str]:
    """Yield the name itself, then what it was called before it had its present spelling."""
    yield module
    plain = re.sub(r"([._])processor[._]", r"\1", module)  # diffusers' old attention processors
    if plain != module:
        yield plain
    if plain.endswith("to_out") and not text:  # the first of two modules had no index
        yield f"{plain}.0"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a layer belongs on the base."""

    component: str
    native: Native  # its targets are the paths of the modules


class Base:
    """The networks of a pipeline that a LoRA can change, by their names."""

    def __init__(
        self, networks: Iterable[Network], denoisers: Iterable[str], aliases: Iterable[str] = ()
    ) -> None:
        """Take all networks, the components that are "the denoiser", and prefixes that mean it as well."""
        self.networks = {network.component: network for network in networks}
        self.denoisers = tuple(denoisers)
        self._aliases = frozenset(aliases)

    def find(self, layer: str) -> Found | None:
        """Return the place of a layer, by its name in the file.

        Raises:
            GenerationError: The name means several modules, or one of two denoisers.
        """
        spelt = split_prefix(layer)
        found = {}
        for component, module in self._candidates(spelt):
            network = self.networks.get(component)
            native = network.find(module) if network else None
            if native:
                found[component] = Found(component, native)
        return _one(found, layer)

    def component(self, layer: str) -> str:
        """Return the component that a layer without a place is meant for; "" if the base has none such."""
        return next((name for name, _ in self._candidates(split_prefix(layer)) if name in self.networks), "")

    def _candidates(self, spelt: Spelt) -> list[tuple[str, str]]:
        """Return the components that a layer may be of, each with the name inside it."""
        if is_text_encoder(spelt.component):
            return [(name, spelt.module) for name in self._encoders(spelt)]
        part = re.match(f"({'|'.join(_PARTS)})[._]", spelt.module)
        if part and _PARTS[part[1]] in self.networks:
            return [(_PARTS[part[1]], spelt.module[part.end() :])]
        if spelt.component in self.networks:
            return [(spelt.component, spelt.module)]
        head, dot, rest = spelt.module.partition(".")
        if not spelt.kind and dot and head in self.networks:
            return [(head, rest)]
        if spelt.component not in ("", "unet", "transformer"):  # a second one, which the base has not
            return []
        return [(name, spelt.module) for name in self.denoisers if self._may_be(spelt.component, name)]

    def _may_be(self, prefix: str, denoiser: str) -> bool:
        """Return whether a prefix can mean a denoiser of another name; a UNet is no transformer."""
        classes = " ".join(self.networks[denoiser].classes)
        other = {"unet": "Transformer", "transformer": "UNet"}.get(prefix)
        return prefix in self._aliases or other is None or other not in classes

    def _encoders(self, spelt: Spelt) -> list[str]:
        """Return the text encoder of a prefix; files do not say which number the base's T5 has."""
        hint = spelt.component
        encoders = sorted(name for name in self.networks if is_text_encoder(name))
        kinds = {name: " ".join(self.networks[name].classes) for name in encoders}
        if hint == "T5":
            t5 = [name for name in encoders if "T5" in kinds[name]]
            return t5 if len(t5) == 1 else ["text_encoder_3"]
        if hint == "LLM":
            return [name for name in encoders if "T5" not in kinds[name] and "CLIP" not in kinds[name]]
        if spelt.kind == "ComfyUI":  # it says CLIP L or G, and HunyuanVideo's first encoder is no CLIP
            clips = [name for name in encoders if "CLIP" in kinds[name]]
            return clips[1:2] if hint == "text_encoder_2" else clips[:1]
        return [hint]


def _one(found: Mapping[str, Found], layer: str) -> Found | None:
    if len(found) > 1:
        halves = found.keys() == {"transformer", "transformer_2"}
        raise GenerationError(
            f"layer {shown(layer)} does not say which of the base's {' and '.join(found)} it is for: write "
            "that name and a dot before its names"
            + (", or call the two files ..._high_noise and ..._low_noise" if halves else "")
        )
    return next(iter(found.values()), None)
