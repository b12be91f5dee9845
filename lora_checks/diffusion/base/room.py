"""Compare what a base's weights take with the memory that is there, and say which option would help."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lora_checks.core import memory as host
from lora_checks.core.errors import NoRoomError
from lora_checks.core.memory import gib
from lora_checks.diffusion.apply.networks import denoisers
from lora_checks.diffusion.base import ResolvedBase, groups
from lora_checks.diffusion.base.as_written import REWRITERS
from lora_checks.diffusion.base.family import has, index_of
from lora_checks.diffusion.base.memory import AUTO, Memory
from lora_checks.diffusion.quantised import gguf_file
from lora_checks.diffusion.quantised.formats import CASTING, LIBRARIES
from lora_checks.diffusion.quantised.networks import Network, exchanged_whole

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
STORED = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
BESIDE = 0.9  # of a device, which the largest part may fill so that its numbers fit beside it
_ENCODERS = ("cond_stage_model", "conditioner", "text_encoders")
_OTHER_PARTS = (*_ENCODERS, "first_stage_model", "vae")  # in one file


@dataclass(frozen=True, slots=True)
class Part:
    """The weights of one network of a base."""

    size: int  # bytes in the run's number format
    converted: int  # of them, those that the files hold in another format: they cannot stay on the disk


UNLOADED = ("safety_checker", *REWRITERS)


@dataclass(frozen=True)
class Room:
    """A base in a number format, and where it is to go."""

    base: ResolvedBase
    device: str
    dtype: str
    memory: Memory

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """By component; from the headers of the files alone."""
        if self.base.file is not None:
            parts = dict(_of_checkpoint(self.base.file, self.dtype))
            for network in self.base.quantised:
                parts["denoiser"] = _of_quantised(network, self.base.folder, self.dtype)
            return parts
        index = index_of(self.base.folder)
        names = [name for name in index if has(index, name) and name not in UNLOADED]
        parts = {name: _of_folder(self.base.folder / name, self.dtype) for name in names}
        if self.base.vae is not None and self.base.vae.is_dir():
            parts["vae"] = _of_folder(self.base.vae, self.dtype)
        for network in self.base.quantised:
            parts[network.name] = _of_quantised(network, self.base.folder, self.dtype)
        return {name: part for name, part in parts.items() if part.size}

    def settled(self, say: Callable[[str], None], compiled: bool = False) -> Memory:
        """Return the memory savings with ``auto`` decided.

        Networks that do not fit together take turns; if the largest does not fit, its blocks do. Blocks that
        are ``compiled`` are not exchanged.
        """
        if self.memory.offload != AUTO:
            return self.memory
        room = device_room(self.device)
        if room is None or self._total < BESIDE * room[0]:
            return replace(self.memory, offload="none")
        there, way = "one network at a time is there", "model"
        if self._largest >= BESIDE * room[0] and not compiled and self._streams(room[0]):
            there, way = "blocks of a network are brought there one after another", "group"
        say(
            f"the weights of {self.base.label} take {gib(self._total)} in {self.dtype}{self._of_largest}, "
            f"and {gib(room[0])} of {self.device} are free: {there} (--lora-offload {way})"
        )
        return replace(self.memory, offload=way)

    def refuse(self) -> None:
        """Raise `NoRoomError` for weights that cannot fit, before an hour of loading or the kernel's kill."""
        room = device_room(self.device)
        if room is not None and self._on_device > room[1]:
            raise self.error()
        free = host.available()
        if free is not None and self._on_host > free:
            raise NoRoomError(
                f"this machine's main memory does not hold base model {self.base.label}: its weights take "
                f"{gib(self._on_host)} of it in {self.dtype}, and {gib(free)} are free; "
                f"{self._help_on_host()}"
            )

    def error(self, doing: str = "") -> NoRoomError:
        """Return the error of a device that turned out too small."""
        room = device_room(self.device)
        there = "" if room is None else f", and {gib(room[0])} of its {gib(room[1])} are free"
        what = f"base model {self.base.label}"
        return NoRoomError(
            f"{self.device} has not enough memory {doing or 'for'} {what}: its weights take "
            f"{gib(self._total)} in {self.dtype}{self._of_largest}{there}; {self._help(room)}"
        )

    @property
    def _total(self) -> int:
        return sum(part.size for part in self.parts.values())

    @property
    def _largest(self) -> int:
        return max((part.size for part in self.parts.values()), default=0)

    @property
    def _of_largest(self) -> str:
        if len(self.parts) < 2:
            return ""
        name = max(self.parts, key=lambda name: self.parts[name].size)
        return f" (the {name} alone {gib(self._largest)})"

    @property
    def _on_device(self) -> int:
        if self.memory.offload == "group":
            return self._of_blocks
        return {"none": self._total, "model": self._largest}.get(self.memory.offload, 0)

    @cached_property
    def _of_blocks(self) -> int:
        """Return what is on the device at most if blocks take turns: a part of one network, and the others.

        A single checkpoint names its networks otherwise; its text encoders count whole.
        """
        from lora_checks.diffusion.loader import weightless

        pipe = weightless.pipeline(self.base.folder)
        shares = {name: groups.share(network) for name, network in pipe.components.items()}
        if self.base.file is not None:
            shares["denoiser"] = max(groups.share(pipe.components[name]) for name in denoisers(pipe))
            shares |= dict.fromkeys(_ENCODERS, 1.0)
        sizes = {name: part.size for name, part in self.parts.items()}
        stay = sum(size for name, size in sizes.items() if name not in shares)
        return stay + max(math.ceil(size * shares[name]) for name, size in sizes.items() if name in shares)

    def _streams(self, size: int) -> bool:
        """Return whether blocks can take turns in so many bytes."""
        return not exchanged_whole(self.base.quantised) and self._of_blocks < BESIDE * size

    @property
    def _on_host(self) -> int:
        """Return what main memory has to hold at once; weights as they are in a file can be read again."""
        if self.device == "cpu":
            return sum(part.converted for part in self.parts.values())
        if self.memory.offload == "none" and self.base.file is None:  # part after part goes to the device
            return max((part.converted for part in self.parts.values()), default=0)
        return self._total

    def _help(self, room: tuple[int, int] | None) -> str:
        ways = []
        if self.device == "cpu":
            ways += ["close what else uses it"]
        elif self.memory.offload == "none" and (room is None or self._largest < BESIDE * room[1]):
            ways += ["--lora-offload model"]
        elif self.memory.offload in ("none", "model") and room is not None and self._streams(room[1]):
            ways += ["--lora-offload group"]
        elif self.memory.offload != "sequential" and not self.base.quantised:
            ways += ["--lora-offload sequential, which is slow"]
        return _listed([*ways, *self._halved(), "a device with more memory"])

    def _help_on_host(self) -> str:
        ways = ["close what else uses it", *self._halved()]
        return _listed([*ways, *(["--lora-offload none"] if self.memory.offload != "none" else [])])

    def _halved(self) -> list[str]:
        return ["--lora-dtype bfloat16 or float16"] if self.dtype == "float32" else []


def _listed(ways: list[str]) -> str:
    return f"use {', or '.join(ways)}" if not ways[0].startswith("close") else ", or use ".join(ways)


def device_room(device: str) -> tuple[int, int] | None:
    """Return (free, total) bytes of an accelerator; None where nothing says it."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        import torch

        return torch.cuda.mem_get_info(int(index) if index else torch.cuda.current_device())
    if kind == "mps":
        import torch

        if hasattr(torch.mps, "recommended_max_memory"):
            total = torch.mps.recommended_max_memory()
            return max(0, total - torch.mps.driver_allocated_memory()), total
    return None


def _of_folder(folder: Path, dtype: str) -> Part:
    """Add up a component's weights; those of a pickle count as its bytes."""
    files = _weights(folder)
    if not files:
        size = sum(path.stat().st_size for path in folder.glob("*.bin"))
        return Part(size, size)
    return _sum(tensor for file in files for tensor in _tensors(file, dtype).values())


def _weights(folder: Path) -> list[Path]:
    """Return the files of the plain variant; others, such as ``model.fp16.safetensors``, are not loaded."""
    for index in sorted(folder.glob("*.safetensors.index.json")):
        if index.name.count(".") == 3:
            names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / name for name in sorted(set(names))]
    return sorted(path for path in folder.glob("*.safetensors") if path.name.count(".") == 1)


def _of_checkpoint(file: Path, dtype: str) -> Mapping[str, Part]:
    groups: dict[str, list[Part]] = {}
    for name, tensor in _tensors(file, dtype).items():
        first = name.partition(".")[0]
        groups.setdefault(first if first in _OTHER_PARTS else "denoiser", []).append(tensor)
    return {name: _sum(iter(tensors)) for name, tensors in groups.items()}


def _of_quantised(network: Network, folder: Path, dtype: str) -> Part:
    """Add up a quantised network's weights; none can stay on the disk."""
    if network.file is not None:
        size = gguf_file.read(network.file).size
        return Part(size, size)
    headers = [_header(file) for file in _weights(folder / network.name)]
    tensors = [tensor for header in headers for tensor in header.values()]
    if network.saved:
        size = sum(tensor["data_offsets"][1] - tensor["data_offsets"][0] for tensor in tensors)
        return Part(size, size)
    bits = LIBRARIES[network.library].formats[network.format].bits
    # Of a network's matrices all but a few are linear layers', which are quantised; convolutions are cast.
    most = 5 if network.library == CASTING else 2
    each = (bits / 8 if 2 <= len(tensor["shape"]) <= most else BYTES[dtype] for tensor in tensors)
    sizes = [math.prod(tensor["shape"]) * size for tensor, size in zip(tensors, each, strict=True)]
    return Part(math.ceil(sum(sizes)), math.ceil(sum(sizes)))


def _sum(tensors: Iterator[Part]) -> Part:
    listed = list(tensors)
    return Part(sum(one.size for one in listed), sum(one.converted for one in listed))


def _tensors(file: Path, dtype: str) -> dict[str, Part]:
    """Read the header of a safetensors file; one that cannot be read is refused when it is loaded."""
    try:
        return {name: _part(value, dtype) for name, value in _header(file).items()}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return {}


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        header: dict[str, Any] = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    header.pop("__metadata__", None)
    return header


def _part(value: Mapping[str, object], dtype: str) -> Part:
    kind, shape, (begin, end) = value["dtype"], value["shape"], value["data_offsets"]  # type: ignore[misc]
    if not str(kind).startswith(("F", "BF")):  # counters stay as they are
        return Part(end - begin, 0)  # type: ignore[has-type]
    size = math.prod(shape) * BYTES[dtype]  # type: ignore[call-overload]
    return Part(size, 0 if STORED.get(str(kind)) == dtype else size)
