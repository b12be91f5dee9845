"""A base whose denoiser comes from a .gguf file: loaded, identified, measured, and LoRAs proven on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import quantised_bases as bases
import torch
from sampled import FolderOf, copied, images, loaded, prompts

from lora_checks.core.errors import ConfigError, GenerationError
from lora_checks.core.records import Base, Lora, NetworkFile
from lora_checks.diffusion import apply
from lora_checks.diffusion.base import ResolvedBase, present, resolve
from lora_checks.diffusion.base.gguf import absent
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.room import Room
from lora_checks.diffusion.proof import prove
from lora_checks.diffusion.quantised import gguf_file, networks, weights
from lora_checks.lora.file import inspect

KINDS = ("Q8_0", "Q4_0", "Q4_K", "Q6_K", "BF16", "F16")
LAYER = "transformer_blocks.0.attn.to_q"
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bases.wide_flux(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, Path]:
    return {kind: bases.write_gguf(folder, folder.parent / f"flux-{kind}.gguf", kind) for kind in KINDS}


@pytest.fixture(scope="module")
def lora(folder: Path) -> Lora:
    return inspect(bases.lora(folder, folder.parent / "plain.safetensors"), "plain")


@pytest.fixture(scope="module")
def dora(folder: Path) -> Lora:
    return inspect(bases.lora(folder, folder.parent / "dora.safetensors", dora=True), "dora")


def based(folder: Path, file: Path, name: str = "transformer") -> ResolvedBase:
    return resolve(Base(str(folder), gguf={name: NetworkFile(str(file), f"prompts.yaml:3: base.{name}")}))


@pytest.fixture(scope="module")
def pipe(folder: Path, files: dict[str, Path]) -> Any:
    return loaded(based(folder, files["Q4_0"]), prompts())


@pytest.fixture
def applied(pipe: Any, lora: Lora) -> Iterator[apply.Adapter]:
    """The LoRA on the base of Q4_0, at its full strength."""
    with torch.no_grad():
        adapter = apply.load(pipe, lora, "x")
        apply.activate(pipe, {"x": 1.0})
        yield adapter
        apply.remove(pipe, "x")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_loras_are_proven_on_every_type(
    folder: Path, files: dict[str, Path], lora: Lora, dora: Lora, kind: str, dtype: str
) -> None:
    pipe = loaded(based(folder, files[kind]), prompts(), dtype)
    base = pipe.transformer.get_submodule(LAYER)
    assert weights.format_of(base) == ("" if kind == "F16" else f"GGUF {kind}")
    assert weights.shape(base) == (256, 256)
    assert weights.dtype(base) == getattr(torch, dtype)
    for one in (lora, dora):
        with torch.no_grad():
            adapter = apply.load(pipe, one, "x")
            apply.activate(pipe, {"x": 0.7})
            proof = prove(pipe, adapter, 0.7)
            apply.remove(pipe, "x")
        assert (proof.layers, proof.dtype) == (4, dtype)
        assert proof.effect["transformer"] > 1e-4
    assert pipe.transformer.get_submodule(LAYER) is base


def test_one_image_is_made_of_it_and_it_is_another(folder: Path, pipe: Any) -> None:
    said = prompts()
    plain, quantised = images(loaded(folder, said), said)[0], images(pipe, said)[0]
    assert quantised.pixels.shape == (32, 32, 3)
    assert (quantised.pixels != plain.pixels).any()


def test_values_are_those_that_the_gguf_package_reads(files: dict[str, Path], pipe: Any) -> None:
    """diffusers dequantises in float16, as the scales are, whatever the run computes in."""
    import gguf

    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(files["Q4_0"]).tensors}
    stored = tensors[f"{LAYER}.weight"]
    theirs = torch.from_numpy(gguf.quants.dequantize(stored.data, stored.tensor_type))
    ours = weights.value(pipe.transformer.get_submodule(LAYER)).float()
    assert torch.allclose(ours, theirs, rtol=2**-10, atol=0)


def test_a_wrong_strength_is_found(pipe: Any, applied: apply.Adapter) -> None:
    apply.activate(pipe, {"x": 0.5})
    with pytest.raises(GenerationError, match=r"acts at 0\.5 times the strength"):
        prove(pipe, applied, 1.0)


def test_a_layer_without_the_lora_is_found(pipe: Any, applied: apply.Adapter) -> None:
    tuner = pipe.transformer.get_submodule(LAYER)
    tuner.set_adapter([])
    with pytest.raises(GenerationError, match=f"is loaded but not active on transformer {LAYER}"):
        prove(pipe, applied, 1.0)


def test_a_kernel_that_computes_with_another_weight_is_found(pipe: Any, applied: apply.Adapter) -> None:
    base = pipe.transformer.get_submodule(LAYER).get_base_layer()
    real = base.forward
    base.forward = lambda x: 1.09 * real(x)
    try:
        with pytest.raises(
            GenerationError, match=r"is GGUF Q4_0 .* away from that of its dequantised weight"
        ):
            prove(pipe, applied, 1.0)
    finally:
        base.forward = real


def test_a_kernel_that_swallows_the_lora_is_found(pipe: Any, applied: apply.Adapter) -> None:
    """The wrapper's own code is right, which float64 sees, and in the run's precision nothing arrives."""
    tuner = pipe.transformer.get_submodule(LAYER)
    real = tuner.forward
    tuner.forward = lambda x: real(x) if x.dtype == torch.float64 else tuner.base_layer(x)
    try:
        with pytest.raises(GenerationError, match="does not arrive in the output of the quantised layer"):
            prove(pipe, applied, 1.0)
    finally:
        tuner.forward = real


def test_the_file_is_part_of_the_identity(folder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    plain, one, other = resolve(Base(str(folder))), based(folder, files["Q4_0"]), based(folder, files["Q8_0"])
    assert one.identity.startswith(f"{plain.identity} transformer ")
    assert len({plain.identity, one.identity, other.identity}) == 3
    assert one.label == f"{plain.label}, transformer GGUF Q4_0"
    assert {path for contents in one.contents() for path, _ in contents} > {files["Q4_0"]}
    copied = Path(shutil.copy(files["Q4_0"], tmp_path / "renamed.gguf"))
    assert based(folder, copied).identity == one.identity


def test_a_file_that_changes_after_it_was_hashed_is_seen(
    folder: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    file = Path(shutil.copy(files["Q4_0"], tmp_path / "flux.gguf"))
    base = based(folder, file)
    with file.open("ab") as stream:
        stream.write(b"x")
    assert any(contents.changed() == str(file) for contents in base.hashed)


def test_memory_is_counted_as_it_is_in_the_file(folder: Path, files: dict[str, Path]) -> None:
    def size(base: ResolvedBase) -> int:
        return Room(base, "cpu", "bfloat16", Memory()).parts["transformer"].size

    plain, half, quarter = (
        size(base)
        for base in (resolve(Base(str(folder))), *(based(folder, files[kind]) for kind in ("Q8_0", "Q4_0")))
    )
    # A few layers of this tiny model have too few columns for a block and stay in float32.
    assert 0.53 * plain < half < 0.65 * plain
    assert 0.28 * plain < quarter < 0.4 * plain
    assert quarter == gguf_file.read(files["Q4_0"]).size


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not begin with 'GGUF'"),
        (b"\x80\x04pickle", "does not begin with 'GGUF'"),
        (None, "damaged or"),
    ],
)
def test_a_damaged_file_is_refused_by_name(
    folder: Path, files: dict[str, Path], tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(files["Q4_0"].read_bytes()[:5000] if content is None else content)
    with pytest.raises(ConfigError, match=why):
        based(folder, file)


def test_a_type_that_diffusers_does_not_read_is_refused_before_loading(folder: Path, tmp_path: Path) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(str(tmp_path / "iq.gguf"), "flux")
    kind = gguf.GGMLQuantizationType.IQ2_XS
    data = np.zeros((4, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    writer.add_tensor("x.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    base = based(folder, tmp_path / "iq.gguf")
    with pytest.raises(
        ConfigError, match=r"iq\.gguf: has weights of type IQ2_XS, which diffusers does not read"
    ):
        networks.check(base.quantised, base.folder, "cpu", "none")


def test_a_file_of_another_model_is_refused(files: dict[str, Path], folder: Path, tmp_path: Path) -> None:
    """FLUX dev on schnell's settings."""
    schnell = copied(folder, tmp_path / "schnell", transformer={"guidance_embeds": False})
    with pytest.raises(
        GenerationError, match=r"Q4_0\.gguf: diffusers cannot make the base's transformer of it"
    ):
        loaded(based(schnell, files["Q4_0"]), prompts(guidance=0.0))


def test_weights_that_diffusers_would_leave_out_are_an_error(family_folder: FolderOf, tmp_path: Path) -> None:
    """A weight too many is a warning that nobody sees, and the image is of another model than the file."""
    folder = family_folder("Qwen-Image")
    whole = bases.write_gguf(folder, tmp_path / "qwen.gguf", "Q8_0")
    assert loaded(based(folder, whole), prompts(guidance=None)).transformer is not None
    more = bases.write_gguf(folder, tmp_path / "more.gguf", "Q8_0", extra="control_img_in.weight")
    with pytest.raises(
        GenerationError, match=r"more\.gguf: has weights that .* such as control_img_in\.weight"
    ):
        loaded(based(folder, more), prompts(guidance=None))


def test_a_network_that_the_base_lacks(folder: Path, files: dict[str, Path]) -> None:
    with pytest.raises(
        ConfigError, match=r"prompts\.yaml:3: base\.unet: this base has no network 'unet'; it has"
    ):
        based(folder, files["Q4_0"], "unet")


def test_sequential_offload_is_refused(folder: Path, files: dict[str, Path]) -> None:
    base = based(folder, files["Q4_0"])
    with pytest.raises(ConfigError, match="--lora-offload sequential cannot take a quantised network apart"):
        networks.check(base.quantised, base.folder, "cuda", "sequential")
    networks.check(base.quantised, base.folder, "cuda", "model")


def test_a_file_of_the_hub_is_looked_for_in_the_cache_alone(folder: Path) -> None:
    far = Base(str(folder), gguf={"transformer": NetworkFile("nobody/nothing/flux-Q4_0.gguf")})
    assert present(far) is None
    assert absent(far).endswith("fetch it with `hf download nobody/nothing flux-Q4_0.gguf`")
