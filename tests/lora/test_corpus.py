"""No file of the corpus passes: each is told by its own sentence, at little cost; none is run or fetched."""

from __future__ import annotations

import functools
import os
import pickle
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus import ENTRIES, GROUPS, NEEDS_BASE
from corpus.containers import executed
from corpus.entry import GOOD
from world import MINIATURE, Gate, environment, row

from lora_checks.core.errors import LoraChecksError, LoraFileError
from lora_checks.core.records import Lora
from lora_checks.diffusion import apply
from lora_checks.diffusion.proof import prove
from lora_checks.lora.file import inspect
from lora_checks.lora.opening import open_regular

LARGEST = 100_000_000  # bytes that a verdict may allocate
LONGEST = 250  # characters of a sentence
PAYLOADS = [name for name in ENTRIES if "payload" in name]


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the files are: they are large, and each is needed for a moment only."""
    old, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("corpus"))
    yield
    tempfile.tempdir = old


@functools.cache
def verdict(name: str) -> tuple[str, int]:
    """What the gate says behind the path ("" where it passes), and the peak of what it allocated (bytes)."""
    import numpy as np  # its import is no part of a verdict

    del np
    with tempfile.TemporaryDirectory() as folder:
        path = ENTRIES[name].build(Path(folder))
        tracemalloc.start()
        try:
            inspect(path, "a")
            sentence = ""
        except LoraFileError as error:
            sentence = str(error).removeprefix(f"{path} ")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return sentence, peak


def test_every_file_has_a_name_of_its_own() -> None:
    assert len(ENTRIES) == sum(len(group) for group in GROUPS.values())


@pytest.mark.parametrize("name", ENTRIES)
def test_a_bad_file_is_told_in_one_sentence(name: str) -> None:
    sentence, _ = verdict(name)
    assert re.fullmatch(ENTRIES[name].pattern, sentence), sentence
    assert len(sentence) <= LONGEST
    assert sentence.isascii()
    assert sentence.isprintable()


@pytest.mark.parametrize("name", ENTRIES)
def test_a_verdict_needs_little_memory(name: str) -> None:
    assert verdict(name)[1] < LARGEST


def test_no_memory_is_taken_behind_pythons_back(tmp_path: Path) -> None:
    """As the system counts it, over all files that are meant to cost much."""
    for number, entry in enumerate(GROUPS["bombs"]):
        (tmp_path / str(number)).mkdir()
        entry.build(tmp_path / str(number))
    code = """
import pathlib, resource, sys, numpy
from lora_checks.lora.file import LoraFileError, inspect
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
for path in pathlib.Path(sys.argv[1]).glob("*/*"):
    try:
        inspect(path, "a")
        sys.exit(f"{path} passes")
    except LoraFileError:
        pass
print(peak() - before)
"""
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < LARGEST


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for length in range(len(GOOD)):
        path.write_bytes(GOOD[:length])
        with pytest.raises(LoraFileError, match=r" is (empty|truncated)"):
            inspect(path, "a")
    path.write_bytes(GOOD)
    assert inspect(path, "a").tensors == 4


def test_the_gate_passes_none_of_them(gate: Gate) -> None:
    """In one run; `--lora` of what is no file at all is tests/test_lora_find.py's matter."""
    options = []
    some = [*GROUPS["places"], *GROUPS["bombs"], *list(ENTRIES.values())[::8]]
    for number, entry in enumerate(dict.fromkeys(some)):
        (gate.folder / f"c{number}").mkdir()
        path = entry.build(gate.folder / f"c{number}")
        if os.path.lexists(path) and not path.is_dir():
            options += ["--lora", path]
    policy = gate.world.write(gate.folder / "policy", row("faces", "arcface", "stat: missing, max: 0.5"))
    run = gate(*options, "--lora-policy", policy)
    for folder in gate.folder.glob("c*"):
        shutil.rmtree(folder)
    assert run.code == 1, run.err
    assert "Traceback" not in run.out + run.err
    assert len(run.report["loras"]) == len(options) / 2 > 60
    assert set(run.outcomes.values()) == {"ERROR"}


# --- what only the base can tell ------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Any:
    """The miniature; a new one for each test, as nothing can be trusted after a LoRA was refused."""
    from diffusers import StableDiffusionPipeline

    found = StableDiffusionPipeline.from_pretrained(MINIATURE / "pipeline", local_files_only=True)
    found.set_progress_bar_config(disable=True)
    return found


def use(pipe: Any, lora: Lora) -> None:
    adapter = apply.load(pipe, lora, "a")
    apply.activate(pipe, {"a": 1.0})
    prove(pipe, adapter, 1.0)


@pytest.mark.parametrize("name", NEEDS_BASE)
def test_a_lora_of_another_base_is_refused_when_it_is_applied(tmp_path: Path, pipe: Any, name: str) -> None:
    lora = inspect(NEEDS_BASE[name].build(tmp_path), "a")  # the file itself is without fault
    with pytest.raises(LoraChecksError) as caught:
        use(pipe, lora)
    assert re.fullmatch(NEEDS_BASE[name].pattern, str(caught.value)), str(caught.value)
    assert len(str(caught.value)) <= LONGEST


def relinked(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize(
    "exchange",
    [
        relinked,
        lambda path, other: path.write_bytes(other.read_bytes()),
        lambda path, other: other.rename(path),
        lambda path, _: os.truncate(path, path.stat().st_size - 1),
    ],
    ids=["link turned", "rewritten", "replaced", "cut"],
)
def test_what_was_inspected_is_what_is_applied(tmp_path: Path, pipe: Any, exchange: Any) -> None:
    """An exchange of the file after it was inspected is told, whichever way; nothing of it is applied."""
    path, other = tmp_path / "link.safetensors", tmp_path / "other.safetensors"
    path.symlink_to(shutil.copy(MINIATURE / "loras" / "good.safetensors", tmp_path))
    shutil.copy(MINIATURE / "loras" / "overfit.safetensors", other)
    lora = inspect(path, "a")
    exchange(path, other)
    with pytest.raises(LoraFileError, match=r"link\.safetensors changed while it was being gated"):
        apply.load(pipe, lora, "a")
    assert not apply.slots(pipe)


# --- nothing is run, nothing is fetched -----------------------------------------------------------------


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_never_run(tmp_path: Path, name: str) -> None:
    path = ENTRIES[name].build(tmp_path)
    with pytest.raises(LoraFileError, match="could run code"):
        inspect(path, "a")
    assert not executed(path).exists()


def test_the_payload_is_real(tmp_path: Path) -> None:
    path = ENTRIES["pickle with a payload"].build(tmp_path)
    pickle.loads(path.read_bytes())
    assert executed(path).exists()


OFFLINE = """
import os, sys
def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        sys.stderr.write(f"NETWORK {event} {arguments}\\n")
        sys.stderr.flush()
        os._exit(99)
sys.addaudithook(watch)
"""
GATE = "import pytest; sys.exit(pytest.main(sys.argv[1:]))"


@pytest.mark.parametrize(
    "name", ["stabilityai/sd-lora", "latent-consistency/lcm-lora-sdv1-5", "god.safetensors"]
)
def test_a_mistyped_path_is_no_hub_id(gate: Gate, name: str) -> None:
    command = [sys.executable, "-c", OFFLINE + GATE, "-p", "no:cacheprovider", "--lora", name]
    given = ["--lora-policy", gate.world.policy, "--lora-store", gate.world.store]
    env = {key: value for key, value in environment().items() if key != "HF_HUB_OFFLINE"}
    run = subprocess.run(
        [*command, *given], cwd=gate.folder, env=env, capture_output=True, text=True, check=False
    )
    assert "NETWORK" not in run.stderr
    assert run.returncode == 4
    assert re.search(f"--lora: .*{name} does not exist", run.stderr)


def test_the_watch_on_the_network_sees_a_connection() -> None:
    code = OFFLINE + "import socket; socket.create_connection(('127.0.0.1', 9))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, "NETWORK" in run.stderr) == (99, True)


# --- what lies at the path ------------------------------------------------------------------------------


def test_a_link_of_the_hubs_cache_is_followed(tmp_path: Path) -> None:
    """huggingface_hub keeps files as blobs/DIGEST and links snapshots/REVISION/NAME to them."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots" / "main").mkdir(parents=True)
    (tmp_path / "blobs" / "0a1b").write_bytes(GOOD)
    link = tmp_path / "snapshots" / "main" / "a.safetensors"
    link.symlink_to("../../blobs/0a1b")
    found = inspect(link, "a")
    assert (found.path, found.tensors) == (link, 4)


class Exchanged(type(Path())):  # type: ignore[misc]
    """A path at which another process puts a pipe just after it was looked at."""

    def stat(self, **options: bool) -> os.stat_result:
        found = os.stat(self, **options)  # noqa: PTH116
        if stat.S_ISREG(found.st_mode):
            self.unlink()
            os.mkfifo(self)
        return found


def test_an_exchange_between_looking_and_opening_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(GOOD)
    with pytest.raises(LoraFileError, match=r"is a pipe \(FIFO\), not a regular file"):
        open_regular(Exchanged(tmp_path / "a.safetensors"))


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(GOOD)
    (tmp_path / "a.safetensors").chmod(0)
    tmp_path.chmod(0o755)
    code = """
import os, pathlib, sys
from lora_checks.lora.opening import LoraFileError, open_regular
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
try:
    open_regular(pathlib.Path("a.safetensors"))
except LoraFileError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert run.stdout == "cannot be read: Permission denied\n", run.stderr
