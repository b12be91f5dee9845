"""A LoRA file becomes a record, or one sentence on what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save, save_file

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.file import inspect

Tensors = dict[str, NDArray[Any]]
Make = Callable[[Path], object]


def layer(name: str = "unet.mid.to_q", rank: int = 4, dtype: type = np.float16) -> Tensors:
    return {
        f"{name}.lora_A.weight": np.full((rank, 8), 0.5, dtype),
        f"{name}.lora_B.weight": np.full((16, rank), 0.25, dtype),
    }


def kohya(name: str = "lora_unet_mid_to_q", alpha: float | None = 2.0) -> Tensors:
    tensors: Tensors = {
        f"{name}.lora_down.weight": np.full((4, 8, 3, 3), 0.5, np.float32),
        f"{name}.lora_up.weight": np.full((16, 4, 1, 1), 0.25, np.float32),
    }
    return tensors if alpha is None else tensors | {f"{name}.alpha": np.array(alpha, np.float32)}


def raw(header: object, data: bytes = b"") -> bytes:
    """A file with any header at all."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin: int = 0, end: int = 4, **changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [begin, end]} | changes


def bfloat16(tensors: Tensors) -> bytes:
    """The same 16 bits a value, called BF16, which NumPy has not."""
    data = save(tensors)
    end = 8 + int.from_bytes(data[:8], "little")
    return raw(data[8:end].replace(b'"F16"', b'"BF16"'), data[end:])


def test_a_peft_file_is_described(tmp_path: Path) -> None:
    settings = {"unet.lora_alpha": 8, "unet.alpha_pattern": {"mid.to_q": 2.0}, "unet.r": 4}
    settings["unet.rank_pattern"] = {"to_k": 8}
    path = tmp_path / "good.safetensors"
    tensors = layer() | layer("unet.up.to_k", rank=8) | layer("text_encoder.layers.0.q_proj")
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps(settings)})
    found = inspect(path, "good")
    assert (found.path, found.name, found.kind, found.tensors) == (path, "good", "diffusers", 6)
    assert (found.ranks, found.alphas) == ((4, 8), (2.0, 8.0))
    assert found.components == {"unet": 2, "text_encoder": 1}
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_kohya_file_is_described(tmp_path: Path) -> None:
    path = tmp_path / "good.safetensors"
    save_file(kohya() | kohya("lora_te2_layers_0", 1.0) | kohya("lora_te_layers_0", None), path)
    found = inspect(path, "good")
    assert (found.kind, found.ranks, found.alphas) == ("kohya", (4,), (1.0, 2.0))
    assert found.components == {"denoiser": 1, "text_encoder_2": 1, "text_encoder": 1}


@pytest.mark.parametrize(
    ("down", "up"),
    [
        (".lora_A", ".lora_B"),
        (".lora.down", ".lora.up"),
        (".lora_linear_layer.down", ".lora_linear_layer.up"),
        ("_lora.down", "_lora.up"),
    ],
)
def test_every_spelling_that_diffusers_wrote(tmp_path: Path, down: str, up: str) -> None:
    tensors = {k.replace(".lora_A", down).replace(".lora_B", up): v for k, v in layer().items()}
    save_file(tensors, tmp_path / "a.safetensors")
    found = inspect(tmp_path / "a.safetensors", "a")
    assert (found.kind, found.ranks, found.components) == ("diffusers", (4,), {"unet": 1})


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float_formats(tmp_path: Path, dtype: type) -> None:
    save_file(layer(dtype=dtype), tmp_path / "a.safetensors")
    assert inspect(tmp_path / "a.safetensors", "a").ranks == (4,)


def test_bfloat16_weights_and_alpha(tmp_path: Path) -> None:
    tensors = layer() | {"unet.mid.to_q.alpha": np.frombuffer(b"\x80\x3f", np.float16)}  # 1.0 in BF16
    (tmp_path / "a.safetensors").write_bytes(bfloat16(tensors))
    assert inspect(tmp_path / "a.safetensors", "a").alphas == (1.0,)
    tensors["unet.mid.to_q.lora_A.weight"].view(np.uint16)[0, 0] = 0xFF80  # -inf in BF16
    (tmp_path / "b.safetensors").write_bytes(bfloat16(tensors))
    with pytest.raises(LoraFileError, match=r"1 values that are NaN or infinite in 'unet\.mid\.to_q\.lora_A"):
        inspect(tmp_path / "b.safetensors", "b")


def test_a_header_that_starts_like_a_pickle_is_no_pickle(tmp_path: Path) -> None:
    """Its first byte is the length's lowest: 0x80 in 1 of 256 files."""
    for filler in range(300):
        data = save(layer(), {"note": "x" * filler})
        if data[0] == 0x80:
            break
    (tmp_path / "a.safetensors").write_bytes(data)
    assert data[0] == 0x80
    assert inspect(tmp_path / "a.safetensors", "a").tensors == 2


FILES: Mapping[str, tuple[bytes, str]] = {
    # the layers
    "no tensors": (raw({}), "holds no tensors"),
    "metadata only": (raw({"__metadata__": {"format": "pt"}}), "holds no tensors"),
    "checkpoint": (
        save({"model.diffusion_model.out.0.weight": np.ones(2, np.float32)}),
        "is a full checkpoint (1 tensors such as 'model.diffusion_model.out.0.weight'), not a LoRA",
    ),
    "no LoRA": (save({"weight": np.ones(2, np.float32)}), "has no LoRA keys among its 1 tensors"),
    "a VAE": (save(layer("vae.conv_in")), "has LoRA keys of no known kind, such as 'vae.conv_in': no"),
    "LLM": (save(layer("base_model.model.layers.0.q_proj")), "is a PEFT adapter ('base_model"),
    "inversion": (save({"emb_params": np.ones((2, 2))}), "is a textual inversion"),
    "two spellings": (
        save(layer() | {"unet.mid.to_q.lora.down.weight": np.ones((4, 8), np.float16)}),
        "has two lora_A (down) for layer 'unet.mid.to_q', in two spellings",
    ),
    "stray": (save(layer() | {"unet.x.weight": np.ones(2)}), "holds tensor 'unet.x.weight', which is"),
    "named twice": (
        save(layer() | kohya()),
        "names one layer twice: 'lora_unet_mid_to_q' and 'unet.mid.to_q' both change unet 'mid_to_q'",
    ),
    "no up": (
        save({"unet.q.lora_A.weight": np.ones((2, 2), np.float32)}),
        "is incomplete: layer 'unet.q' has lora_A (down) but no lora_B (up)",
    ),
    "no down": (
        save({"lora_unet_q.lora_up.weight": np.ones((2, 2), np.float32)}),
        "is incomplete: layer 'lora_unet_q' has lora_B (up) but no lora_A (down)",
    ),
    "alpha alone": (
        save(layer() | {"unet.x.alpha": np.ones(1, np.float32)}),
        "is incomplete: layer 'unet.x' has alpha but no lora_A (down)",
    ),
    "ranks": (
        save(layer() | {"unet.mid.to_q.lora_A.weight": np.ones((3, 8), np.float16)}),
        "has two ranks in layer 'unet.mid.to_q': 3 in lora_A (down), 4 in lora_B (up)",
    ),
    "F64": (save(layer(dtype=np.float64)), "of dtype F64; read are F16, BF16, F32"),
    "vector": (
        save(layer() | {"unet.mid.to_q.lora_A.weight": np.ones(4, np.float16)}),
        "of shape [4], which is no matrix",
    ),
    "rank 0": (save(layer(rank=0)), "which is no matrix"),
    # the values
    "NaN weight": (
        save(layer() | {"unet.mid.to_q.lora_A.weight": np.full((4, 8), np.nan, np.float16)}),
        "has 32 values that are NaN or infinite in 'unet.mid.to_q.lora_A.weight'; the training diverged",
    ),
    "inf weights": (
        save({name: np.full_like(value, -np.inf) for name, value in layer().items()}),
        ", and 1 more tensors have some",
    ),
    "untrained": (
        save({k: v * (0 if "lora_B" in k else 1) for k, v in (layer() | layer("unet.up.to_k")).items()}),
        "was never trained: every lora_B (up) matrix is zero, so the LoRA changes nothing",
    ),
    "minus zero": (
        save(layer() | {"unet.mid.to_q.lora_B.weight": np.full((16, 4), -0.0, np.float16)}),
        "was never trained",
    ),
    "down zero": (
        save({k: v * (0 if "lora_A" in k else 1) for k, v in layer().items()}),
        "changes nothing: in every layer lora_A (down) or lora_B (up) is zero",
    ),
    "alpha NaN": (save(kohya(alpha=np.nan)), "has alpha nan at 'lora_unet_mid_to_q.alpha'"),
    "alpha inf": (save(kohya(alpha=np.inf)), "has alpha inf at"),
    "alpha 0": (save(kohya(alpha=0)), "has alpha 0 at 'lora_unet_mid_to_q.alpha', so the layer changes"),
    "alpha -1": (save(kohya(alpha=-1)), "has alpha -1 at"),
    "alphas": (
        save(kohya() | {"lora_unet_mid_to_q.alpha": np.ones(2, np.float32)}),
        "has 'lora_unet_mid_to_q.alpha' of F32 [2]; an alpha is one number",
    ),
    "adapter": (save(layer(), {"lora_adapter_metadata": "[1]"}), "has damaged metadata"),
    "adapter alpha": (
        save(layer(), {"lora_adapter_metadata": '{"unet.lora_alpha": -4}'}),
        "has alpha -4 at 'unet.mid.to_q (lora_adapter_metadata)'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_faults_are_told_in_one_sentence(tmp_path: Path, name: str) -> None:
    data, message = FILES[name]
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(LoraFileError, match=re.escape(message)) as caught:
        inspect(path, "a")
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


def test_a_fault_beyond_the_first_chunk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_checks.lora.values.CHUNK", 8)
    tensors = layer()
    tensors["unet.mid.to_q.lora_B.weight"][-1, -1] = np.inf
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(LoraFileError, match="has 1 values that are NaN or infinite in 'unet"):
        inspect(tmp_path / "a.safetensors", "a")


GOOD = save(layer(), {"lora_adapter_metadata": '{"unet.lora_alpha": 4}'})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["F16", "F32", "F4", "X"]) | JSON},
    optional={
        "shape": st.lists(st.integers(-1, 5), max_size=3) | JSON,
        "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2) | JSON,
    },
)
HEADERS = st.dictionaries(
    st.sampled_from([*layer(), "__metadata__", "unet.mid.to_q.alpha"]) | st.text(max_size=8), FIELDS | JSON
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(GOOD)
    for place in draw(st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=4)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(GOOD)))] if draw(st.booleans()) else data)


@given(
    st.binary(max_size=64)
    | damaged()
    | st.builds(raw, HEADERS | st.binary(max_size=40), st.binary(max_size=64))
)
@example(raw({"__metadata__": {"lora_adapter_metadata": '{"unet.alpha_pattern": 3}'}}))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_cause_another_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    try:
        found = inspect(path, "a")
    except LoraFileError:
        return
    assert found.kind == "diffusers"


@pytest.mark.parametrize("adapter", ["default", "my-person_2"])
def test_an_adapters_name_left_in_the_keys_is_taken_out(tmp_path: Path, adapter: str) -> None:
    """`save_file(unet.state_dict())` keeps PEFT's name of the adapter in each key; the rest is the same."""
    for name, tensors in (("plain", layer()), ("named", {})):
        tensors = tensors or {k.replace(".weight", f".{adapter}.weight"): v for k, v in layer().items()}
        save_file(tensors, tmp_path / f"{name}.safetensors")
    plain, named = (inspect(tmp_path / f"{name}.safetensors", "a") for name in ("plain", "named"))
    for one, other in zip(plain.layers, named.layers, strict=True):
        assert (one.name, one.targets, one.scaling) == (other.name, other.targets, other.scaling)
    (warning,) = named.warnings
    assert warning.startswith(f"the adapter's name '{adapter}' is left in its keys: diffusers loads it for ")


def test_keys_without_a_networks_name_are_told(tmp_path: Path) -> None:
    """`StableDiffusionPipeline.load_lora_weights` uses none of them, and only logs it."""
    old = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_k_lora"
    tensors = {
        f"{old}.down.weight": np.ones((4, 8), np.float16),
        f"{old}.up.weight": np.ones((16, 4), np.float16),
    }
    save_file(tensors, tmp_path / "a.safetensors")
    (warning,) = inspect(tmp_path / "a.safetensors", "a").warnings
    assert "load_lora_weights of diffusers' pipelines uses none of them" in warning


@pytest.mark.parametrize("name", ["a_emb.safetensors", "learned_embeds.safetensors"])
def test_an_embedding_beside_the_file_is_told(tmp_path: Path, name: str) -> None:
    save_file(layer(), tmp_path / "a.safetensors")
    save_file({"clip_l": np.ones((2, 768), np.float32)}, tmp_path / name)
    (warning,) = inspect(tmp_path / "a.safetensors", "a").warnings
    assert warning.startswith(f"{name} lies beside it: a trained embedding, which is not loaded")
