"""Read PEFT's configuration of each network that the file adapts.

It is ``lora_adapter_metadata`` in the file, or PEFT's own ``adapter_config.json`` beside it. diffusers writes
the first in two ways: with the network before each setting (``unet.lora_alpha``, by a pipeline's
`save_lora_weights`) and without (``lora_alpha``, by a network's `save_lora_adapter`). A setting that affects
a strength but matches nothing in the file is an error: the layers that it was meant for would be applied at
the wrong strength. So is one by which more was trained than the file's layers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.bundles import CONFIG
from lora_checks.lora.header import shown
from lora_checks.lora.layers import Layer
from lora_checks.lora.trained import check_trained, initial_notes, is_stated

ADAPTER_METADATA = "lora_adapter_metadata"  # where diffusers keeps the PEFT configurations, as JSON
MAX_ADAPTER = 1_000_000  # characters; all of SDXL with a pattern for each layer has 100,000

_STRENGTH = ("lora_alpha", "alpha", "r", "alpha_pattern", "rank_pattern", "use_rslora")
_DENOISERS = ("unet", "transformer", "denoiser")
# Other spellings of a network's name, which trainers write before the names of layers.
_SPELLINGS = {
    "unet": ("denoiser",),  # of names that do not say what the base calls it
    "transformer": ("denoiser",),
    "lora_unet": _DENOISERS,
    "lora_transformer": ("transformer", "denoiser"),
    "diffusion_model": _DENOISERS,
    "lora_te": ("text_encoder",),
    "lora_te1": ("text_encoder",),
    "lora_te2": ("text_encoder_2",),
    "lora_te3": ("text_encoder_3",),
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """PEFT's ``alpha_pattern`` or ``rank_pattern``: full names (with "^") or endings after any dot."""

    exact: Mapping[str, tuple[int, float]]  # name -> place in the configuration, number
    endings: Mapping[str, tuple[int, float]]

    def find(self, path: str) -> float | None:
        """Return the number of the first matching entry, in PEFT's order."""
        hits = [hit for hit in (self.exact.get(path), *map(self.endings.get, _endings(path))) if hit]
        return min(hits)[1] if hits else None

    def unmatched(self, paths: Iterable[str]) -> str | None:
        """Return the first name that matches none of ``paths``."""
        known = set(paths)
        ends = {ending for path in known for ending in _endings(path)}
        stray = [*(self.exact.keys() - known), *(self.endings.keys() - ends)]
        return min(stray, default=None)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One network's PEFT configuration."""

    alpha: float | None
    rank: float | None
    alphas: Pattern
    ranks: Pattern
    rslora: bool
    source: str = field(default=ADAPTER_METADATA, compare=False)


@dataclass(frozen=True, slots=True)
class Adapters:
    """The PEFT configurations in one file."""

    by_component: Mapping[str, Adapter]
    notes: tuple[str, ...] = ()  # sentences about settings that affect no strength


def adapters_of(
    metadata: Mapping[str, str], layers: Sequence[Layer], config: bytes | None = None
) -> Adapters:
    """Read the PEFT configurations of the networks in ``layers``.

    Args:
        metadata: The file's.
        layers: The file's.
        config: The adapter_config.json that belongs to the file.

    Raises:
        LoraFileError: The settings are damaged or contradict each other, state a strength for layers that the
            file does not have, or say that more was trained than the file's layers.
    """
    stated = []
    if ADAPTER_METADATA in metadata:
        stated.append(_read(metadata[ADAPTER_METADATA], ADAPTER_METADATA, layers))
    if config is not None:
        stated.append(_read(config.decode(errors="replace"), CONFIG, layers))
    if len(stated) == 2 and stated[0].by_component != stated[1].by_component:
        raise LoraFileError(
            f"states one strength in {ADAPTER_METADATA} and another in the {CONFIG} beside it"
        )
    return stated[0] if stated else Adapters({})


def _read(text: str, source: str, layers: Sequence[Layer]) -> Adapters:
    if len(text) > MAX_ADAPTER:
        raise LoraFileError(f"has {len(text):,} characters of {source}, more than any adapter needs")
    mine: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        mine[layer.place.component].append(layer)
    try:
        stated = _by_prefix(json.loads(text, object_pairs_hook=_unique))
        for values in stated.values():
            check_trained(values, source)
        settings, stray = _by_component(stated, tuple(mine), source)
        adapters = {name: _adapter(values, source) for name, values in settings.items()}
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise LoraFileError(f"has damaged metadata: {source} is not a PEFT configuration") from None
    for name, adapter in adapters.items():
        _check(name, adapter, settings[name], mine[name])
    return Adapters(
        adapters,
        (
            *_strays(stray, source),
            *_missing(mine, adapters, source),
            *_patterns(adapters, mine),
            *initial_notes(settings),
        ),
    )


def _endings(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[i:]) for i in range(len(parts))]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def _by_prefix(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Group settings by prefix ("" without one): prefix -> setting -> value."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, value in settings.items():
        prefix, _, setting = key.rpartition(".")
        if not prefix and isinstance(value, dict) and (key in _SPELLINGS or "lora_alpha" in value):
            found[key] |= value  # {"unet": {"lora_alpha": 16}}
        else:
            found[prefix.removeprefix("base_model.model.")][setting] = value
    return found


def _by_component(
    stated: Mapping[str, Mapping[str, Any]], components: Sequence[str], source: str
) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Return the settings of each component, and the prefixes that match no layer of the file."""
    found: dict[str, Mapping[str, Any]] = {}
    stray = []
    for prefix, settings in stated.items():
        if not any(is_stated(settings.get(key)) for key in _STRENGTH):
            continue
        mine = [name for name in components if name == prefix or name in _SPELLINGS.get(prefix, ())]
        if not prefix:
            mine = _only(components, source)
        if any(name in found for name in mine):
            raise LoraFileError(f"states the settings of {mine[0]} twice in {source}")
        found |= dict.fromkeys(mine, settings)
        if not mine:
            stray.append(prefix)
    lacking = [name for name in components if name not in found]
    if stray and lacking:
        raise LoraFileError(
            f"states a strength for {shown(stray[0])} in {source}, but its layers are of "
            f"{' and '.join(lacking)}: their strength is unknown; save it anew with diffusers"
        )
    return found, stray


def _only(components: Sequence[str], source: str) -> list[str]:
    """Return the network that settings without a name are for; what the base calls it may be untold."""
    if len([name for name in components if name != "denoiser"]) > 1 or (
        "denoiser" in components and any(name.startswith("text_encoder") for name in components)
    ):
        raise LoraFileError(
            f"states a strength in {source} without naming a network, and has layers of "
            f"{' and '.join(components)}; save it anew with diffusers' save_lora_weights"
        )
    return list(components)


def _adapter(settings: Mapping[str, Any], source: str) -> Adapter:
    alphas = {float(settings[key]) for key in ("lora_alpha", "alpha") if settings.get(key) is not None}
    rank = None if settings.get("r") is None else float(settings["r"])
    rslora = settings.get("use_rslora")
    if len(alphas) > 1 or rslora not in (None, True, False) or isinstance(settings.get("r"), bool):
        raise ValueError(settings)
    if rank is not None and not 1 <= rank < MAX_ADAPTER:
        raise ValueError(rank)
    return Adapter(
        alpha=next(iter(alphas), None),
        rank=rank,
        alphas=_pattern(settings.get("alpha_pattern") or {}),
        ranks=_pattern(settings.get("rank_pattern") or {}),
        rslora=rslora is True,
        source=source,
    )


def _pattern(entries: Mapping[str, Any]) -> Pattern:
    exact: dict[str, tuple[int, float]] = {}
    endings: dict[str, tuple[int, float]] = {}
    for number, (key, value) in enumerate(entries.items()):
        name = key.removeprefix("^").removesuffix("$").replace("\\.", ".")
        if not name.replace(".", "").replace("_", "").replace("-", "").isalnum():
            raise LoraFileError(
                f"has the pattern {shown(key)} in {ADAPTER_METADATA}; only layer names are supported there"
            )
        (exact if key.startswith("^") else endings).setdefault(name, (number, float(value)))
    return Pattern(exact, endings)


def _check(name: str, adapter: Adapter, settings: Mapping[str, Any], layers: Sequence[Layer]) -> None:
    stray = _unmatched(adapter, layers)
    if stray and not any("." in layer.path for layer in layers):
        raise LoraFileError(
            f"has an entry of {stray[0]} in {adapter.source} for {shown(stray[1])}, and the names of its "
            f"{name} layers have no dots to compare it with; save it anew with diffusers"
        )
    if adapter.alpha is None and adapter.rank is not None:
        raise LoraFileError(
            f"states rank {adapter.rank:g} and no lora_alpha for {name} in {adapter.source}, so that its "
            "strength is unknown; save it anew with diffusers"
        )
    if settings.get("use_dora") and all("magnitude" not in layer.parts for layer in layers):
        raise LoraFileError(
            f"is a DoRA by {adapter.source} (use_dora), but has no magnitudes for {name}; "
            "save it anew with diffusers"
        )


def _unmatched(adapter: Adapter, layers: Sequence[Layer]) -> tuple[str, str] | None:
    """Return the name of a pattern and its first entry that matches no layer; None if all entries match."""
    paths = [layer.path for layer in layers]
    for key, pattern in (("alpha_pattern", adapter.alphas), ("rank_pattern", adapter.ranks)):
        stray = pattern.unmatched(paths)
        if stray is not None:
            return key, stray
    return None


def _patterns(found: Mapping[str, Adapter], layers: Mapping[str, Sequence[Layer]]) -> Iterator[str]:
    """Warn about pattern entries that match no layer.

    This is not an error: PEFT ignores them in training, and several networks may share a configuration.
    """
    for name, adapter in found.items():
        stray = _unmatched(adapter, layers[name])
        if stray:
            yield (
                f"{adapter.source} has an entry of {stray[0]} for {shown(stray[1])}, but no {name} layer "
                f"has such a name; one of them is {shown(layers[name][0].path)}"
            )


def _strays(prefixes: Sequence[str], source: str) -> list[str]:
    return [f"{source} states a strength for {shown(p)}, but the file has no layer of it" for p in prefixes]


def _missing(
    components: Mapping[str, Sequence[Layer]], found: Mapping[str, Adapter], source: str
) -> list[str]:
    return [
        f"{source} states no strength for {name}: it is taken at alpha = rank"
        for name, layers in components.items()
        if name not in found and any("alpha" not in layer.parts for layer in layers)
    ]
