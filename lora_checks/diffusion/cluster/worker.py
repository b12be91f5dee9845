"""The process on a device of the cluster: it holds the base, and makes what it is told to."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lora_checks.core import kit
from lora_checks.core.errors import (
    GenerationError,
    LoraChecksError,
    NoRoomError,
    PrerequisiteError,
    StoreError,
    first_line,
)
from lora_checks.core.files import write_if_absent
from lora_checks.core.filling import silent
from lora_checks.core.records import ImageSpec, Lora, Proof
from lora_checks.core.remote.shared import SharedStore
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.cluster.ray_client import fetched
from lora_checks.diffusion.cluster.setup import Node, Setup, code_digest, this_node
from lora_checks.diffusion.device_memory import out_of_memory
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.images import png

Files = Mapping[Path, Any]  # of LoRAs that a node may not have: what `ray_client.fetched` takes


@dataclass(frozen=True)
class Answer:
    """What came of a call."""

    value: Any = None
    error: LoraChecksError | None = None  # any other worker would say the same
    fault: str = ""  # another worker may do better
    spoilt: bool = False  # this worker should not go on
    memory: Memory | None = None  # the savings as they were settled
    said: tuple[str, ...] = ()  # for people


@dataclass(frozen=True)
class Painted:
    """How the stored images of a block were made, by their place in it, and what ended it early."""

    how: dict[int, dict[str, Any]] = field(default_factory=dict)
    error: LoraChecksError | None = None


class Worker:
    """Do one thing at a time; Ray calls `describe` first, and then `call` for each job."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._said = setup, list[str]()
        self._files: Files = {}
        if setup.offline is not None:
            kit.use(setup.offline, offline=True)

    def describe(self) -> Node:
        """Describe this node. What is wrong with it is in the answer, so that it can be named."""
        setup = self._setup
        name, process = socket.gethostname(), os.getpid()
        bare = Node(name, process, "", code_digest(), (), None)
        if setup.probe is not None and not _reads(*setup.probe):
            return replace(bare, sees_store=False)
        try:
            if isinstance(self._source.store, SharedStore) and not self._source.store.is_begun():
                return replace(bare, sees_store=False)
            node = this_node(name, process, setup.device, self._source.machine)
        except Exception as error:
            return replace(bare, trouble=f"{type(error).__name__}: {first_line(error)}")
        return node

    def call(self, method: str, arguments: Sequence[Any], files: Files) -> Answer:
        """Call a method; its errors are part of the answer.

        Args:
            method: Its name.
            arguments: What it is called with.
            files: Files of the LoRAs among them, for a node that does not have them.
        """
        self._files = files
        try:
            answer = Answer(getattr(self, method)(*arguments))
        except (NoRoomError, MemoryError) as error:
            answer = Answer(fault=_words(error), spoilt=True)
        except (StoreError, PrerequisiteError) as error:
            answer = Answer(fault=_words(error))
        except LoraChecksError as error:
            answer = Answer(error=_portable(error))
        except Exception as error:
            answer = Answer(fault=_words(error), spoilt=out_of_memory(error))
        said, self._said = tuple(self._said), []
        return replace(answer, memory=self._source.studio.memory, said=said)

    def paint(self, specs: Sequence[ImageSpec], lora: Lora | None, wanted: Sequence[int]) -> Painted:
        """Make a block of images, and store those of ``wanted`` places.

        What is stored already was made by a worker that died before it could say so: it is not made again.
        """
        store, how = self._source.store, dict[int, dict[str, Any]]()
        paths = [store.image(spec.digest) for spec in specs]
        store.bring(paths)
        if all(paths[i].exists() for i in wanted):
            return Painted({i: _how(paths[i]) for i in wanted})
        start, seconds = time.monotonic(), 0.0
        for i, image in enumerate(self._source.studio.render(specs, lora and placed(lora, self._files))):
            seconds = seconds or (time.monotonic() - start) / len(specs)
            if i not in wanted:
                continue
            try:
                store.put(paths[i], image.png())
            except GenerationError as error:  # black, or not finite; what was stored before it stays
                return Painted(how, _portable(error))
            how[i] = {**image.how, "seconds": round(seconds, 3), **_here()}
        store.settle()  # where the store is on a server, only now has it all of them
        return Painted(how)

    def prove(self, lora: Lora, others: Sequence[Lora]) -> Proof:
        """Prove that the LoRA is on the base with ``others``; see `Studio.prove`."""
        first, *rest = (placed(one, self._files) for one in (lora, *others))
        return self._source.studio.prove(first, rest)

    def try_settings(self) -> None:
        """Prove that the base does what the policy's settings say; see `Studio.try_settings`."""
        self._source.studio.try_settings()

    @cached_property
    def _source(self) -> GeneratedImages:
        setup = self._setup
        return GeneratedImages(
            setup.policy,
            setup.store.open(self._said.append, leases=False),  # the driver holds them
            setup.device,
            setup.dtype,
            setup.batch_size,
            lambda _: silent,
            companions=tuple(placed(one, setup.files) for one in setup.companions),
            memory=setup.memory,
            say=self._said.append,
        )


def _reads(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except OSError:
        return False


_HOW = ("batch", "asked_batch", "vae_dtype", "resident_loras")  # of a recipe


def _how(path: Path) -> dict[str, Any]:
    _, recipe = png.read(path)
    return {name: recipe[name] for name in _HOW if name in recipe} | _here()


def _here() -> dict[str, Any]:
    return {"node": socket.gethostname(), "process": os.getpid()}


def placed(lora: Lora, files: Files, fetch: Callable[[Any], bytes] = fetched) -> Lora:
    """Return the LoRA with files that this node has; their bytes are checked when they are loaded."""
    paths = list(filter(None, (lora.path, lora.second, lora.config)))
    if lora.path not in files or all(path.exists() for path in paths):
        return lora
    folder = Path(tempfile.gettempdir(), f"lora_checks-{os.getuid()}-{lora.sha256[:16]}")
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in paths:
        write_if_absent(folder / path.name, fetch(files[path]))
    return replace(
        lora,
        path=folder / lora.path.name,
        second=None if lora.second is None else folder / lora.second.name,
        config=None if lora.config is None else folder / lora.config.name,
    )


def _portable(error: LoraChecksError) -> LoraChecksError:
    """Return the error as one that can be sent: some are made from more than a text."""
    return (
        type(error)(str(error)) if type(error).__init__ is Exception.__init__ else GenerationError(str(error))
    )


def _words(error: BaseException) -> str:
    if isinstance(error, LoraChecksError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"
