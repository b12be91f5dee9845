"""Weights and pictures for tests of the networks: the real architectures with random weights, made once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from browser_world import browser  # noqa: F401  # fixture
from page_fixtures import document, page, page_folder, parts, run_of_steps  # noqa: F401  # fixtures
from s3_world import s3  # noqa: F401  # fixture
from stand_in import python  # noqa: F401  # fixture
from vlm_world import table  # noqa: F401  # fixture
from world import first_run, gate, miniature_store, world  # noqa: F401  # fixtures

from lora_checks.networks.inception import Inception

MINIATURE = Path(__file__).parent.parent / "examples" / "miniature"
ROOMS_OF_LANE = {
    "gate": {"gate", "options", "docs"},
    "cluster": {"cluster"},
    "torch": {"diffusion", "networks", "reference"},
}
FIXTURES_OF_LANE = {"gate": {"gate", "first_run"}, "browser": {"browser"}}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The examples are checks of a LoRA: `pytest --lora FILE tests/examples` runs them."""
    examples = Path(__file__).parent / "examples"
    example = examples in (collection_path, *collection_path.parents)
    return True if example and not config.option.lora else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its lanes by its room and by what it asks for; the gate's own checks have none."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:  # `pytest --lora FILE` in this clone
            continue
        lanes = lanes_of(item)
        for lane in lanes or {"fast"}:
            item.add_marker(lane)


def lanes_of(item: pytest.Item) -> set[str]:
    room = item.path.relative_to(Path(__file__).parent).parts[0]
    asked = set(getattr(item, "fixturenames", ()))
    lanes = {lane for lane, rooms in ROOMS_OF_LANE.items() if room in rooms}
    lanes |= {lane for lane, fixtures in FIXTURES_OF_LANE.items() if asked & fixtures}
    marked = {marker.name for marker in item.iter_markers()}
    return lanes | marked & {"gate", "simulation", "torch"}


def photo(seed: int, height: int = 96, width: int = 96) -> np.ndarray:
    """A picture with coarse and fine structure, (H, W, 3) uint8."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((width, height))
    return np.clip(np.asarray(coarse, float) + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    return [photo(seed) for seed in range(6)]


@pytest.fixture(scope="session")
def large_photos() -> list[np.ndarray]:
    """Large enough for every way that a layer is computed."""
    return [photo(seed, 224, 288) for seed in (10, 11)]


@pytest.fixture(scope="session")
def avatars() -> list[np.ndarray]:
    """Three people of the miniature's world, two drawings of each."""
    sys.path.insert(0, str(MINIATURE / "training"))
    try:
        from draw import draw, sample_identity, sample_scene
    finally:
        sys.path.pop(0)
    rng = np.random.default_rng(7)
    people = [sample_identity(rng) for _ in range(3)]
    return [np.asarray(draw(person, sample_scene(rng))) for person in people for _ in range(2)]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def inception_file(weights: Path) -> Path:
    """All of pytorch-fid's Inception, laid out as its published file."""
    import torch
    from pytorch_fid import inception

    with (
        patch.object(inception, "load_state_dict_from_url"),
        patch.object(torch.nn.Module, "load_state_dict"),
    ):
        network = inception.fid_inception_v3()
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    path = weights / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def inception(inception_file: Path, weights: Path) -> Inception:
    return Inception({"file": str(inception_file)}, "cpu", cache=weights / "exported")


@pytest.fixture(scope="session")
def alex_file(weights: Path) -> Path:
    """torchvision's AlexNet without its large classifier, which LPIPS does not use."""
    import torch
    import torchvision

    torch.manual_seed(0)
    state = torchvision.models.alexnet().state_dict()
    path = weights / "alex.pth"
    torch.save({name: tensor for name, tensor in state.items() if name.startswith("features.")}, path)
    return path


@pytest.fixture(scope="session")
def squeeze_file(weights: Path) -> Path:
    """All of torchvision's SqueezeNet, laid out as its published file."""
    import torch
    import torchvision

    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), weights / "squeeze.pth")
    return weights / "squeeze.pth"


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny open_clip model in a local directory, with preprocessing of its own."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip") / "tiny"
    folder.mkdir()
    model_cfg = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    preprocess_cfg = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear"}
    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.CLIP(**model_cfg)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def trunk_file(weights: Path) -> Path:
    """All of lpips.LPIPS(net='squeeze') as safetensors, as the miniature's trunk is kept."""
    import lpips
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    module = lpips.LPIPS(net="squeeze", pretrained=False, pnet_rand=True, verbose=False)
    state = {name: tensor.abs() if "lin" in name else tensor for name, tensor in module.state_dict().items()}
    path = weights / "trunk.safetensors"
    save_file({name: tensor.clone() for name, tensor in state.items()}, path)
    return path


@pytest.fixture(scope="session")
def face_root() -> Path:
    return MINIATURE / "evaluators" / "faces"


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The pipeline directory of a tiny base of a family (`families.FAMILIES`), written once."""
    from families import family

    folder = tmp_path_factory.mktemp("families")
    return lambda name: family(name, folder)
