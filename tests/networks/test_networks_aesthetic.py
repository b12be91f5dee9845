"""The learned score equals torch's own linear layer on open_clip's features, as LAION's predictor has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lora_checks import networks
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.store import Store
from lora_checks.images.decoding import decode
from lora_checks.metrics import get
from lora_checks.networks import self_test

MINIATURE = Path(__file__).parents[2] / "examples" / "miniature"
CLIP = MINIATURE / "evaluators" / "clip"
PICTURES = sorted((MINIATURE / "references").glob("*.png"))[:6]


def head(folder: Path, width: int, name: str = "head.pth") -> Path:
    torch.manual_seed(0)
    path, layer = folder / name, torch.nn.Linear(width, 1)
    if path.suffix == ".safetensors":
        save_file(layer.state_dict(), path)
    else:
        torch.save(layer.state_dict(), path)
    return path


def width() -> int:
    clip: Any = networks.build("clip", {"path": str(CLIP)}, "cpu")
    return int(clip.images([decode(PICTURES[0])]).shape[1])


def network(path: Path) -> Any:
    return networks.build("aesthetic", {"path": str(CLIP), "head": str(path)}, "cpu")


@pytest.mark.parametrize("name", ["head.pth", "head.safetensors"])
def test_it_is_the_linear_layer_on_normalised_features(tmp_path: Path, name: str) -> None:
    d = width()
    path = head(tmp_path, d, name)
    torch.manual_seed(0)
    layer = torch.nn.Linear(d, 1)  # as in the file
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{CLIP}")
    with torch.inference_mode():
        batch = torch.stack([preprocess(Image.open(file).convert("RGB")) for file in PICTURES])
        features = model.eval().encode_image(batch)
        features /= features.norm(dim=-1, keepdim=True)
        expected = layer(features)[:, 0].numpy()
    found = get("aesthetic").fn(network(path).images([decode(file) for file in PICTURES]))
    assert found == pytest.approx(expected, abs=1e-5)
    assert len(set(np.round(found, 4))) > 1


def test_another_head_is_another_network(tmp_path: Path) -> None:
    first = network(head(tmp_path, width()))
    torch.save(torch.nn.Linear(width(), 1).state_dict(), tmp_path / "other.pth")
    assert first.id != network(tmp_path / "other.pth").id


def test_it_passes_its_self_test(tmp_path: Path) -> None:
    scores = self_test.check("aesthetic", {}, network(head(tmp_path, width())), Store(tmp_path / "s"), "cpu")
    assert all(np.isfinite(value) for value in scores.values())


def test_a_head_that_says_the_same_of_everything_is_no_head(tmp_path: Path) -> None:
    state = {"weight": torch.zeros(1, width()), "bias": torch.ones(1)}
    torch.save(state, tmp_path / "flat.pth")
    with pytest.raises(Exception, match="two different pictures have the same features"):
        self_test.check("aesthetic", {}, network(tmp_path / "flat.pth"), Store(tmp_path / "s"), "cpu")


def test_a_head_of_another_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"head\.pth reads 5 numbers and CLIP clip \(local\) gives"):
        network(head(tmp_path, 5)).images([decode(PICTURES[0])])


@pytest.mark.parametrize("content", [b"", b"not a tensor", b"cos\nsystem\n(S'true'\ntR."])
def test_what_is_no_head_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "head.pth").write_bytes(content)
    with pytest.raises(PrerequisiteError, match="is not a linear head"):
        network(tmp_path / "head.pth").images([decode(PICTURES[0])])


def test_a_policy_that_names_no_head_is_told_which() -> None:
    with pytest.raises(ConfigError, match=r"name the 'head', such as sa_0_4_vit_l_14_linear\.pth"):
        networks.build("aesthetic", {"path": str(CLIP)}, "cpu")
