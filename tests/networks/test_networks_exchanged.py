"""A network's files: each is part of its identity, lies where the network lies, and stays what it was."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import load_file, save_file

from lora_checks.core.errors import ConfigError, LoraChecksError, PrerequisiteError
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.networks import build
from lora_checks.networks.features import image_features, paired_distances, text_features

SIZE, PIXELS = 8, 3 * 8 * 8


def pictures(folder: Path) -> list[Any]:
    """Return two pictures."""
    found = []
    for shade in (40, 200):
        path = folder / f"{shade}.png"
        Image.fromarray(np.linspace(0, shade, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)).save(path)
        found.append(image_file(path))
    return found


def external(path: Path, location: str = "weights.bin", scale: float = 1.0, where: str = "graph") -> Path:
    """Write a network whose weights, 4 columns of ``scale``, are in another file."""
    weights = numpy_helper.from_array(np.full((PIXELS, 4), scale, np.float32), "weights")
    data = path.parent / location
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(PIXELS * 4 * 4))):
        weights.external_data.add(key=key, value=value)
    nodes, initializers = [helper.make_node("Flatten", ["image"], ["flat"])], []
    if where == "graph":
        initializers = [weights]
    elif where == "attribute":
        nodes.append(helper.make_node("Constant", [], ["weights"], value=weights))
    else:
        held = helper.make_node("Constant", [], ["held"], value=weights)
        out = [helper.make_tensor_value_info("held", TensorProto.FLOAT, [PIXELS, 4])]
        both = helper.make_graph([held], "branch", [], out)
        yes = numpy_helper.from_array(np.array(True), "yes")
        nodes.append(helper.make_node("If", ["yes"], ["weights"], then_branch=both, else_branch=both))
        initializers = [yes]
    nodes.append(helper.make_node("MatMul", ["flat", "weights"], ["features"]))
    given = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])]
    made = [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 4])]
    graph = helper.make_graph(nodes, "external", given, made, initializers)
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    return path


def of_onnx(path: Path) -> Any:
    return build("field", {"kind": "onnx", "file": str(path), "size": SIZE}, "cpu")


@pytest.mark.parametrize("where", ["graph", "attribute", "branch"])
def test_weights_beside_an_onnx_file_are_part_of_it(tmp_path: Path, where: str) -> None:
    (tmp_path / "a").mkdir()
    path = external(tmp_path / "a" / "m.onnx", where=where)
    first = of_onnx(path)
    external(path, scale=2.0, where=where)
    assert of_onnx(path).id != first.id
    assert [file.name for file in first.files.places] == ["m.onnx", "weights.bin"]


def test_weights_are_taken_from_beside_the_network_and_not_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, scale in (("model", 1.0), ("here", 5.0)):
        (tmp_path / name).mkdir()
        external(tmp_path / name / "m.onnx", scale=scale)
    monkeypatch.chdir(tmp_path / "here")
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    np.testing.assert_allclose(of_onnx(tmp_path / "model" / "m.onnx").images([image]), PIXELS)
    np.testing.assert_allclose(of_onnx(Path("../model/m.onnx")).images([image]), PIXELS)


def test_weights_in_a_folder_below_and_in_the_hub_s_cache(tmp_path: Path) -> None:
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    path = external(tmp_path / "m.onnx", location="data/weights.bin")
    np.testing.assert_allclose(of_onnx(path).images([image]), PIXELS)
    snapshot, blobs = tmp_path / "hub" / "snapshots" / "c0ffee", tmp_path / "hub" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    cached = external(snapshot / "m.onnx", scale=3.0)
    for name in ("m.onnx", "weights.bin"):
        (snapshot / name).rename(blobs / name[::-1])
        (snapshot / name).symlink_to(Path("../../blobs") / name[::-1])
    np.testing.assert_allclose(of_onnx(cached).images([image]), 3 * PIXELS)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "data/../../weights.bin"])
def test_weights_from_elsewhere_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "a").mkdir()
    path = external(tmp_path / "a" / "m.onnx", location="weights.bin")
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(PrerequisiteError, match=r"m\.onnx takes weights from '.*'; save it with its weights"):
        of_onnx(path)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = external(tmp_path / "m.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(PrerequisiteError, match=r"takes weights from .*weights\.bin, which is not there"):
        of_onnx(path)


def test_the_identity_of_a_network_in_one_file_stays(tmp_path: Path) -> None:
    """Limits are calibrated on this identity, and features are stored under it."""
    (tmp_path / "m.onnx").write_bytes(b"one file")
    network = of_onnx(tmp_path / "m.onnx")
    assert network.id == "onnx/1 fit=crop size=8 decoder=1 5a62d4db4ce377b0"


def test_a_pack_of_faces_with_weights_beside_it(tmp_path: Path) -> None:
    pack = tmp_path / "models" / "pack"
    pack.mkdir(parents=True)
    external(pack / "det.onnx")
    settings = {"kind": "arcface", "root": str(tmp_path), "pack": "pack"}
    first = build("arcface", settings, "cpu").id
    (pack / "weights.bin").write_bytes(b"others")
    second = build("arcface", settings, "cpu").id
    (pack / "manifest.json").write_text("{}")
    assert len({first, second, build("arcface", settings, "cpu").id}) == 3


def test_a_damaged_pack_of_faces_is_a_sentence(tmp_path: Path, face_root: Path) -> None:
    shutil.copytree(face_root / "models", tmp_path / "models")
    network = next((tmp_path / "models" / "miniature").glob("w_*.onnx"))
    network.write_bytes(network.read_bytes()[:-100])
    settings = {"kind": "arcface", "root": str(tmp_path), "pack": "miniature", "det_size": 64}
    with pytest.raises(PrerequisiteError, match="the pack miniature cannot be loaded"):
        build("arcface", settings, "cpu").images([np.zeros((64, 64, 3), np.uint8)])


def test_a_pack_is_the_one_below_root_and_not_one_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face_root: Path, avatars: list[np.ndarray]
) -> None:
    (tmp_path / "miniature").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = {"kind": "arcface", "root": str(face_root), "pack": "miniature", "det_size": 64}
    assert np.isfinite(build("arcface", settings, "cpu").images(avatars[:1])).all()


def test_a_torchscript_file_is_a_program_and_has_to_be_trusted(tmp_path: Path) -> None:
    """This network would write a file when it gets a picture."""

    class Writer(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3))

    torch.jit.script(Writer()).save(str(tmp_path / "m.pt"))
    settings = {"kind": "torchscript", "file": str(tmp_path / "m.pt"), "size": SIZE}
    for untrusted in ({}, {"trusted": False}, {"trusted": "true"}, {"trusted": 1}, {"trusted": None}):
        with pytest.raises(ConfigError, match=r"m\.pt is a program, .* or write 'trusted: true'"):
            build("mine", settings | untrusted, "cpu")
    assert build("mine", settings | {"trusted": True}, "cpu").images([np.zeros((8, 8, 3), np.uint8)]).shape
    with pytest.raises(ConfigError, match="unknown setting 'trusted'"):
        build("mine", settings | {"kind": "onnx", "trusted": True}, "cpu")


def test_the_command_of_the_docs_makes_onnx_of_torchscript(tmp_path: Path) -> None:
    class Copies(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            pooled = torch.relu(self.trunk(x)).clamp(min=1e-6).pow(3.0).mean(dim=(2, 3)).pow(1 / 3.0)
            return torch.nn.functional.normalize(self.head(pooled))

    text = (Path(__file__).parent.parent.parent / "docs" / "metrics.md").read_text()
    command = next(line for line in text.splitlines() if "torch.onnx.export" in line)
    script = tmp_path / "sscd_disc_mixup.torchscript.pt"
    torch.jit.script(Copies().eval()).save(str(script))
    code = shlex.split(command)[2]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    settings = {"size": 320, "fit": "squash", "mean": [0.5] * 3, "std": [0.2] * 3}
    made = build("sscd", settings | {"kind": "onnx", "file": str(tmp_path / "sscd.onnx")}, "cpu")
    before = build("sscd", settings | {"kind": "torchscript", "file": str(script), "trusted": True}, "cpu")
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_allclose(made.images([image]), before.images([image]), atol=1e-5)


@pytest.mark.parametrize("kind", ["trunk", "inception", "lpips", "aesthetic"])
def test_no_other_network_runs_a_torchscript_file(tmp_path: Path, kind: str, clip_folder: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "m.pt"))
    file = str(tmp_path / "m.pt")
    settings: dict[str, dict[str, Any]] = {
        "trunk": {"file": file},
        "inception": {"file": file},
        "lpips": {"trunk_file": file},
        "aesthetic": {"head": file, "path": str(clip_folder)},
    }
    network: Any = build(kind, settings[kind], "cpu")
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(LoraChecksError):
        network.paired([image], [image]) if kind == "lpips" else network.images([image])


def reversed_weights(file: Path) -> None:
    """Write different weights with the same names and sizes."""
    if file.suffix == ".safetensors":
        tensors = load_file(file)
        save_file({name: np.ascontiguousarray(np.flip(value)) for name, value in tensors.items()}, file)
    elif file.suffix == ".onnx":
        model = onnx.load(file)
        weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        weights.raw_data = weights.raw_data[::-1]
        onnx.save(model, file)
    else:
        file.write_bytes(file.read_bytes()[::-1])


def networks(tmp_path: Path, clip_folder: Path, trunk_file: Path, face_root: Path) -> dict[str, Any]:
    """Slot -> settings, and the file that is exchanged; all are copies."""
    clip = Path(shutil.copytree(clip_folder, tmp_path / "clip"))
    trunk = Path(shutil.copy(trunk_file, tmp_path / "trunk.safetensors"))
    faces = Path(shutil.copytree(face_root / "models", tmp_path / "faces" / "models")).parent
    pack = faces / "models" / "miniature"
    onnx_file = external(tmp_path / "m.onnx")
    clip_weights = next(path for path in clip.iterdir() if path.suffix in (".safetensors", ".bin"))
    return {
        "clip": ({"path": str(clip)}, clip_weights),
        "trunk": ({"file": str(trunk)}, trunk),
        "arcface": (
            {"root": str(faces), "pack": "miniature", "det_size": 64},
            next(path for path in pack.iterdir() if path.name.startswith("w_")),
        ),
        "onnx": ({"file": str(onnx_file), "size": SIZE}, tmp_path / "weights.bin"),
    }


@pytest.mark.parametrize("kind", ["clip", "trunk", "arcface", "onnx"])
@pytest.mark.parametrize("when", ["before it is loaded", "between two batches"])
def test_a_network_that_is_exchanged_stores_nothing(
    tmp_path: Path, clip_folder: Path, trunk_file: Path, face_root: Path, kind: str, when: str
) -> None:
    settings, file = networks(tmp_path, clip_folder, trunk_file, face_root)[kind]
    network: Any = build(kind, settings, "cpu")
    store, seen = Store(tmp_path / "store"), pictures(tmp_path)
    if when == "between two batches":
        assert len(image_features(seen[:1], network, store)) == 1
    before = len(list((store.root / "arrays").rglob("*.npy"))) if (store.root / "arrays").exists() else 0
    reversed_weights(file)
    with pytest.raises(LoraChecksError, match="changed while they were being used"):
        image_features(seen, network, store)
    after = len(list((store.root / "arrays").rglob("*.npy"))) if (store.root / "arrays").exists() else 0
    assert after == before


def test_distances_and_texts_are_guarded_too(tmp_path: Path, clip_folder: Path, trunk_file: Path) -> None:
    made = networks(tmp_path, clip_folder, trunk_file, Path(__file__).parent.parent.parent / FACES)
    store, seen = Store(tmp_path / "store"), pictures(tmp_path)
    for kind, ask in (
        ("trunk", lambda network: paired_distances(seen, seen, network, store)),
        ("clip", lambda network: text_features(["a person"], network, store)),
    ):
        settings, file = made[kind]
        network: Any = build(kind, settings, "cpu")
        reversed_weights(file)
        with pytest.raises(PrerequisiteError, match="changed while they were being used"):
            ask(network)
    assert not (store.root / "arrays").exists()


FACES = "examples/miniature/evaluators/faces"
