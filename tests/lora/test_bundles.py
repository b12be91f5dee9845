"""LoRAs of several files: PEFT's weights with their configuration, and Wan 2.2's two halves."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel, WanTransformer3DModel
from lora_tensors import Tensors
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model
from safetensors.numpy import load_file, save_file

from lora_checks.core.errors import LoraFileError
from lora_checks.diffusion import apply
from lora_checks.lora.bundles import CONFIG, lora_sha256
from lora_checks.lora.candidates import candidates
from lora_checks.lora.file import find_loras, inspect

WEIGHTS = "adapter_model.safetensors"
TO_K = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k"


def unet() -> Any:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        block_out_channels=(32, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        layers_per_block=1,
    ).eval()


BASE = unet()


def saved(folder: Path, config: Any) -> Any:
    """PEFT's model of the UNet; its adapter is saved in ``folder``."""
    model = get_peft_model(copy.deepcopy(BASE), config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if any(part in name for part in ("lora_", "hada_", "lokr_")) and "magnitude" not in name:
                weight.copy_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return model


def output(network: Any) -> torch.Tensor:
    draw = torch.Generator().manual_seed(2)
    sample, text = torch.randn(1, 4, 8, 8, generator=draw), torch.randn(1, 5, 16, generator=draw)
    with torch.no_grad():
        return network(sample, 7, text).sample  # type: ignore[no-any-return]


ATTENTION = ["to_q", "to_k", "to_v"]


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(r=4, lora_alpha=16, target_modules=ATTENTION),
        LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=ATTENTION),
        LoraConfig(
            r=4,
            lora_alpha=6,
            target_modules=[*ATTENTION, "conv1"],
            rank_pattern={"attn2.to_k": 2},
            alpha_pattern={f"^{TO_K}": 3, "to_v": 12},
        ),
        LoraConfig(r=4, lora_alpha=6, use_dora=True, target_modules=ATTENTION),
        LoHaConfig(r=4, alpha=6, target_modules=ATTENTION),
        LoKrConfig(r=4, alpha=6, target_modules=ATTENTION),
    ],
    ids=["alpha", "rslora", "patterns", "DoRA", "LoHa", "LoKr"],
)
def test_a_folder_of_pefts_does_what_peft_does(tmp_path: Path, config: Any) -> None:
    model = saved(tmp_path / "person", config)
    paths = find_loras([str(tmp_path / "person")], tmp_path)
    assert [path.name for path in paths] == [WEIGHTS]
    lora = inspect(paths[0], "person")
    pipe = SimpleNamespace(unet=copy.deepcopy(BASE))
    apply.load(pipe, lora, "person")
    apply.activate(pipe, {"person": 1.0})
    expected, base = output(model), output(BASE)
    assert (expected - base).abs().max() > 0.01
    torch.testing.assert_close(output(pipe.unet), expected, rtol=1e-4, atol=1e-4)


def test_another_configuration_is_another_lora(tmp_path: Path) -> None:
    """Its digest is that of both files, one after the other: `cat WEIGHTS CONFIG | sha256sum`."""
    saved(tmp_path, LoraConfig(r=4, lora_alpha=16, target_modules=["to_q"]))
    first = inspect(tmp_path / WEIGHTS, "a")
    both = (tmp_path / WEIGHTS).read_bytes() + (tmp_path / CONFIG).read_bytes()
    assert first.sha256 == lora_sha256(tmp_path / WEIGHTS) == hashlib.sha256(both).hexdigest()
    settings = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps(settings | {"lora_alpha": 4}))
    second = inspect(tmp_path / WEIGHTS, "a")
    assert first.sha256 != second.sha256
    assert [{layer.scaling for layer in lora.layers} for lora in (first, second)] == [{4.0}, {1.0}]
    with pytest.raises(LoraFileError, match="changed while it was being gated"):
        apply.read(first)
    (tmp_path / CONFIG).unlink()
    with pytest.raises(LoraFileError, match=f"alpha stands in {CONFIG}.*put its {CONFIG} beside it"):
        inspect(tmp_path / WEIGHTS, "a")


def test_a_configuration_beside_other_names_is_not_its(tmp_path: Path) -> None:
    saved(tmp_path, LoraConfig(r=4, lora_alpha=16, target_modules=["to_q"]))
    plain = {name.replace("base_model.model", "unet"): x for name, x in load_file(tmp_path / WEIGHTS).items()}
    save_file(plain, tmp_path / "plain.safetensors")
    lora = inspect(tmp_path / "plain.safetensors", "plain")
    assert lora.sha256 == hashlib.sha256((tmp_path / "plain.safetensors").read_bytes()).hexdigest()
    assert {layer.scaling for layer in lora.layers} == {1.0}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"modules_to_save": ["conv_in"]}, "modules_to_save 'conv_in' .*whole modules were trained"),
        ({"bias": "lora_only"}, "bias 'lora_only' .*biases changed too"),
        ({"use_dora": True}, "is a DoRA by adapter_config.json .*no magnitudes"),
        ({"target_parameters": ["a.b"]}, "target_parameters 'a.b'"),
        ({"trainable_token_indices": [3]}, "tokens were trained"),
        ({"peft_type": "IA3"}, "a PEFT adapter of type 'IA3'"),
        ({"lora_alpha": None}, "states rank 4 and no lora_alpha"),
        ({"lora_alpha": "many"}, "adapter_config.json is not a PEFT configuration"),
        ({"r": 8}, "adapter_config.json says rank 8 .*have rank 4"),
        ({"lora_alpha": -1}, r"has alpha -1 at '.*to_q \(adapter_config.json\)'"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    saved(tmp_path, LoraConfig(r=4, lora_alpha=16, target_modules=["to_q"]))
    settings = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps(settings | changes))
    with pytest.raises(LoraFileError, match=told):
        inspect(tmp_path / WEIGHTS, "a")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff\xfe", b'{"r": 4, "r": 8}', b"[" * 100_000, b" " * 1_000_001]
)
def test_a_damaged_configuration_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    saved(tmp_path, LoraConfig(r=4, lora_alpha=16, target_modules=["to_q"]))
    (tmp_path / CONFIG).write_bytes(content)
    with pytest.raises(LoraFileError, match=CONFIG):
        inspect(tmp_path / WEIGHTS, "a")


def test_the_file_may_state_the_settings_itself(tmp_path: Path) -> None:
    saved(tmp_path, LoraConfig(r=4, lora_alpha=16, target_modules=["to_q"]))
    stated = json.dumps({"r": 4, "lora_alpha": 8})
    save_file(load_file(tmp_path / WEIGHTS), tmp_path / WEIGHTS, {"lora_adapter_metadata": stated})
    with pytest.raises(
        LoraFileError, match="one strength in lora_adapter_metadata and another in the adapter_"
    ):
        inspect(tmp_path / WEIGHTS, "a")
    (tmp_path / CONFIG).unlink()
    assert {layer.scaling for layer in inspect(tmp_path / WEIGHTS, "a").layers} == {2.0}


# Wan 2.2


def wan(seed: int, prefix: str = "diffusion_model.") -> Tensors:
    draw = np.random.default_rng(seed)
    return {
        f"{prefix}blocks.{block}.self_attn.{name}.lora_{side}.weight": draw.normal(size=shape).astype(
            np.float32
        )
        for block in range(2)
        for name in "qk"
        for side, shape in {"A": (2, 16), "B": (16, 2)}.items()
    }


def pair(folder: Path) -> tuple[Path, Path]:
    high, low = (folder / f"person_000000500_{half}_noise.safetensors" for half in ("high", "low"))
    save_file(wan(0), high)
    save_file(wan(1), low)
    return high, low


def test_two_halves_are_one_candidate(tmp_path: Path) -> None:
    high, low = pair(tmp_path)
    for arguments in ([str(tmp_path)], [str(high)], [str(low)], [str(low), str(high)]):
        one = candidates(arguments, None, tmp_path)
        assert [candidate.path for candidate in one.values()] == [high]
    lora = next(iter(one.values())).read()
    assert lora.components == {"transformer": 4, "transformer_2": 4}
    assert (lora.path, lora.second, lora.tensors) == (high, low, 16)
    assert lora.sha256 == hashlib.sha256(high.read_bytes() + low.read_bytes()).hexdigest() == lora_sha256(low)
    tensors, found = wan(0) | {}, apply.read(lora)
    for name, value in tensors.items():
        bare = name.removeprefix("diffusion_model.")
        np.testing.assert_array_equal(found[f"transformer.{bare}"].numpy(), value)
        np.testing.assert_array_equal(found[f"transformer_2.{bare}"].numpy(), wan(1)[name])


def test_half_of_a_pair_is_refused(tmp_path: Path) -> None:
    high, low = pair(tmp_path)
    low.unlink()
    with pytest.raises(LoraFileError, match=f"high-noise half.*{low.name} is not beside it.*transformer_2"):
        inspect(high, "a")


def test_a_bad_half_is_named(tmp_path: Path) -> None:
    high, low = pair(tmp_path)
    save_file({name: value * np.nan for name, value in wan(1).items()}, low)
    with pytest.raises(LoraFileError, match="NaN"):
        inspect(high, "a")
    low.write_bytes(low.read_bytes()[:-9])
    with pytest.raises(LoraFileError, match=f"belongs to {low.name}, which is truncated"):
        inspect(high, "a")


def test_other_files_of_these_names_are_no_pair(tmp_path: Path) -> None:
    for half in ("high", "low"):
        save_file(
            {f"unet.{TO_K}.lora_{side}.weight": np.ones((4, 4), np.float32) for side in "AB"},
            tmp_path / f"person_{half}_noise.safetensors",
        )
    assert len(find_loras([str(tmp_path)], tmp_path)) == 2


def test_each_half_is_on_its_transformer(tmp_path: Path) -> None:
    """The weights of both transformers with the pair, against the products added to them here."""

    def transformer(seed: int) -> Any:
        torch.manual_seed(seed)
        return WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=8, num_layers=2, ffn_dim=16, text_dim=8, freq_dim=8
        ).eval()

    pipe = SimpleNamespace(transformer=transformer(0), transformer_2=transformer(1))
    expected = {name: copy.deepcopy(network) for name, network in vars(pipe).items()}
    high, _ = pair(tmp_path)
    for seed, network in enumerate(expected.values()):
        for name, down in wan(seed).items():
            if "lora_A" in name:
                block, letter = name.split(".")[2], name.split(".")[4]
                weight = network.get_submodule(f"blocks.{block}.attn1.to_{letter}").weight
                weight.data += torch.from_numpy(wan(seed)[name.replace("lora_A", "lora_B")] @ down)
    adapter = apply.load(pipe, inspect(high, "pair"), "pair")
    apply.activate(pipe, {"pair": 1.0})
    assert sorted({one.layer.component for one in adapter.placed}) == ["transformer", "transformer_2"]
    draw = torch.Generator().manual_seed(3)
    latent, text = torch.randn(1, 16, 1, 4, 4, generator=draw), torch.randn(1, 3, 8, generator=draw)
    with torch.no_grad():
        for name, network in expected.items():
            given = (latent, torch.tensor([5]), text)
            ours, theirs = getattr(pipe, name)(*given).sample, network(*given).sample
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
