"""Download the weights of a policy's networks to where the networks look for them."""

from __future__ import annotations

import shutil
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lora_checks.core.errors import PrerequisiteError
from lora_checks.networks import arcface, clip, dino, inception, kind_of, lpips, sface, weights
from lora_checks.networks.vlm import in_process

TIMEOUT = 60.0  # seconds
_TOKENIZER = ("tokenizer.json", "spiece.model", "vocab.txt")
_BESIDE_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json")


class Download(Protocol):
    """Something to get from the internet."""

    @property
    def name(self) -> str:
        """Return what it is, for people."""
        ...

    def here(self) -> bool:
        """Return whether it is on this machine already."""
        ...

    def size(self) -> int | None:
        """Return its bytes, as its server states them; None if it does not."""
        ...

    def get(self) -> None:
        """Download it. Raises `PrerequisiteError`."""
        ...


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Files of a repository of the Hugging Face hub."""

    name: str  # "owner/name"
    files: tuple[str, ...]  # one of them is enough for each group
    optional: tuple[str, ...] = ()

    def here(self) -> bool:
        from huggingface_hub import try_to_load_from_cache

        return any(isinstance(try_to_load_from_cache(self.name, file), str) for file in self.files)

    def size(self) -> int | None:
        from huggingface_hub import HfApi

        try:
            info = HfApi().model_info(self.name, files_metadata=True, timeout=TIMEOUT)
        except Exception:  # the hub client raises a dozen unrelated types
            return None
        sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or ()}
        wanted = [*self.optional, *self._chosen(sizes)]
        return sum(sizes.get(file, 0) for file in wanted)

    def get(self) -> None:
        from huggingface_hub import HfApi, hf_hub_download

        try:
            present = HfApi().list_repo_files(self.name)
            for file in (*[file for file in self.optional if file in present], *self._chosen(present)):
                hf_hub_download(self.name, file)
        except Exception as error:
            raise PrerequisiteError(f"{self.name} cannot be downloaded: {weights.cause(error)}") from error

    def _chosen(self, present: Any) -> list[str]:
        return [file for file in self.files if file in present][:1]


@dataclass(frozen=True, slots=True)
class Address:
    """A file at an address of its own; a .zip is unpacked."""

    url: str
    path: Path  # the file, or the folder of an archive's content

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def here(self) -> bool:
        return self.path.exists()

    def size(self) -> int | None:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url, method="HEAD"), timeout=TIMEOUT
            ) as answer:
                return int(answer.headers["Content-Length"])
        except (OSError, TypeError, ValueError):
            return None

    def get(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
            part = Path(folder) / "part"
            try:
                with urllib.request.urlopen(self.url, timeout=TIMEOUT) as answer, part.open("wb") as file:
                    shutil.copyfileobj(answer, file)
                    expected = answer.headers["Content-Length"]
                if expected is not None and part.stat().st_size != int(expected):
                    raise OSError("the connection broke off")
                (self._unpacked(part) if self.url.endswith(".zip") else part).replace(self.path)
            except (OSError, zipfile.BadZipFile) as error:
                raise PrerequisiteError(f"{self.url} cannot be downloaded: {error}") from error

    def _unpacked(self, archive: Path) -> Path:
        """Unpack an archive; one whose files lie in a folder of the pack's name loses that folder."""
        folder = archive.with_name("unpacked")
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder)
        inner = folder / self.path.name
        return inner if inner.is_dir() else folder


@dataclass(frozen=True, slots=True)
class HubModel:
    """A whole model of the Hugging Face hub: weights in safetensors, and what loads with them."""

    name: str  # "owner/name"
    revision: str | None = None

    def here(self) -> bool:
        try:
            folder, _ = in_process.place({"model": self.name, "revision": self.revision})
            return bool(in_process.files(folder))
        except PrerequisiteError:
            return False

    def size(self) -> int | None:
        from huggingface_hub import HfApi

        try:
            info = HfApi().model_info(self.name, revision=self.revision, files_metadata=True, timeout=TIMEOUT)
        except Exception:  # the hub client raises a dozen unrelated types
            return None
        files = [(Path(one.rfilename), one.size or 0) for one in info.siblings or ()]
        return sum(size for path, size in files if path.suffix in in_process.READ and len(path.parts) == 1)

    def get(self) -> None:
        from huggingface_hub import snapshot_download

        try:
            snapshot_download(self.name, revision=self.revision, **in_process.WANTED)
        except Exception as error:
            raise PrerequisiteError(f"{self.name} cannot be downloaded: {weights.cause(error)}") from error


def downloads(networks: Mapping[str, Mapping[str, Any]]) -> Iterator[Download]:
    """Yield what the networks of a policy take from the internet; nothing for those that name local files."""
    for slot, settings in networks.items():
        kind = kind_of(slot, settings)
        if kind in _KINDS and not settings.keys() & {"path", "file", "trunk_file", "root"}:
            yield from _KINDS[kind](settings)


def _arcface(settings: Mapping[str, Any]) -> Sequence[Download]:
    pack = settings.get("pack", arcface.PACK)
    return [Address(f"{arcface.URL}{pack}.zip", arcface.home() / "models" / pack)]


def _clip(settings: Mapping[str, Any]) -> Sequence[Download]:
    weights_of = HubFiles(clip.repository(settings["model"], settings["pretrained"]), clip.WEIGHTS)
    tokenizer = clip.tokenizer_of(settings["model"])
    return [weights_of, *([HubFiles(tokenizer, _TOKENIZER, _BESIDE_TOKENIZER)] if tokenizer else [])]


def _dino(settings: Mapping[str, Any]) -> Sequence[Download]:
    return [HubFiles(settings["model"], dino.WEIGHTS, (dino.CONFIG,))]


def _inception(_: Mapping[str, Any]) -> Sequence[Download]:
    return [Address(inception.URL, weights.hub_path(inception.NAME))]


def _judge(settings: Mapping[str, Any]) -> Sequence[Download]:
    if settings.get("api", "transformers") != "transformers" or "model" not in settings:
        return []
    return [HubModel(str(settings["model"]), settings.get("revision"))]


def _lpips(settings: Mapping[str, Any]) -> Sequence[Download]:
    name = lpips.TRUNKS[settings.get("net", "alex")]
    return [Address(lpips.URL + name, weights.hub_path(name))]


def _sface(settings: Mapping[str, Any]) -> Sequence[Download]:
    wanted = {"detector": sface.DETECTOR, "recogniser": sface.RECOGNISER}
    return [HubFiles(*wanted[key]) for key in wanted if key not in settings]


_KINDS = {
    "arcface": _arcface,
    "clip": _clip,
    "dino": _dino,
    "inception": _inception,
    "judge": _judge,
    "lpips": _lpips,
    "sface": _sface,
}
