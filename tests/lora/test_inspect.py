"""`python -m lora_checks inspect`: what files are, for people and for machines, without loading a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lora_tensors import ALGORITHMS, Q, Tensors, named, parts, read
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lora_checks.__main__ import main
from lora_checks.lora import inspection, inspection_text
from lora_checks.lora.file import inspect_tensors
from lora_checks.lora.norms import norms_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "miniature" / "loras"
K = Q.replace("_to_q", "_to_k")


def built(algorithm: str, found: Tensors) -> NDArray[np.float64]:
    """What a layer of `lora_tensors.parts` adds, built whole from LyCORIS' formulas (functional/*.py)."""
    value = {name.lstrip("."): array.astype(np.float64) for name, array in found.items()}
    if algorithm in ("lora", "conv"):
        down, up = value["lora_down.weight"], value["lora_up.weight"]
        return up.reshape(len(up), -1) @ down.reshape(len(down), -1)
    if algorithm == "tucker":
        down, mid, up = (value[f"lora_{part}.weight"] for part in ("down", "mid", "up"))
        return np.einsum("mn...,im,nj->ij...", mid, up[:, :, 0, 0], down[:, :, 0, 0])
    if algorithm == "loha":
        return (value["hada_w1_a"] @ value["hada_w1_b"]) * (value["hada_w2_a"] @ value["hada_w2_b"])
    if algorithm == "loha tucker":
        first, second = (
            np.einsum("ij...,jr,ip->pr...", value[f"hada_t{i}"], value[f"hada_w{i}_b"], value[f"hada_w{i}_a"])
            for i in "12"
        )
        return first * second
    if algorithm == "full":
        return value["diff"]
    outer = value["lokr_w1"] if "lokr_w1" in value else value["lokr_w1_a"] @ value["lokr_w1_b"]
    if algorithm == "lokr tucker":
        inner = np.einsum("ij...,ip,jr->pr...", value["lokr_t2"], value["lokr_w2_a"], value["lokr_w2_b"])
        return np.kron(outer[..., None, None], inner)
    return np.kron(outer, value["lokr_w2"] if "lokr_w2" in value else value["lokr_w2_a"] @ value["lokr_w2_b"])


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "full"])
def test_the_norm_is_that_of_the_change_itself(tmp_path: Path, algorithm: str) -> None:
    made = parts(algorithm, rank=3)
    more = {} if algorithm == "full" else {"alpha": np.array(1.5)}
    lora = read(tmp_path, named(Q, made, **more))
    norms = norms_of(*inspect_tensors(lora.path, "a"))
    strength = 1 if algorithm in ("lokr whole", "full") else 0.5
    assert norms == {Q: pytest.approx(strength * np.linalg.norm(built(algorithm, made)), rel=1e-6)}


def test_a_large_loha_is_built_some_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_checks.lora.norms._VALUES", 13)
    made = parts("loha")
    lora = read(tmp_path, named(Q, made))
    norm = np.linalg.norm(built("loha", made))
    assert norms_of(*inspect_tensors(lora.path, "a"))[Q] == pytest.approx(norm)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_norms_of_every_float_format(tmp_path: Path, dtype: type) -> None:
    made = {name: value.astype(dtype) for name, value in parts("lora").items()}
    lora = read(tmp_path, named(Q, made))
    assert norms_of(*inspect_tensors(lora.path, "a"))[Q] == pytest.approx(np.linalg.norm(built("lora", made)))


def test_values_whose_squares_overflow_have_a_norm(tmp_path: Path) -> None:
    made = {name: value * np.float32(1e30) for name, value in parts("lora").items()}
    lora = read(tmp_path, named(Q, made))
    assert 1e59 < norms_of(*inspect_tensors(lora.path, "a"))[Q] < 1e62


def write(folder: Path, name: str, tensors: Tensors, **metadata: str) -> Path:
    save_file(tensors, folder / f"{name}.safetensors", metadata or None)
    return folder / f"{name}.safetensors"


def test_one_file_is_told_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = named(Q, parts("loha"), alpha=np.array(1)) | named(K, parts("loha", rank=4))
    path = write(tmp_path, "a", tensors, ss_network_module="lycoris.kohya", ss_steps="900")
    assert main(["inspect", str(path)]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    told = {words[0]: words[1] for words in lines if len(words) == 2}
    assert told["kind"] == "kohya, LoHa"
    assert told["layers"] == "2 unet layers; 9 tensors"
    assert (told["rank"], told["alpha/rank"]) == ("2 (1), 4 (1)", "0.5 (1), 1 (1)")
    assert told["fits"] == "nothing tells which base"
    assert (told["steps"], told["software"]) == ("900", "sd-scripts with LyCORIS")
    assert len(told["sha256"]) == len(told["tensors"]) == 64
    assert told["unet"].startswith("mid_block ")


def test_many_files_have_a_line_each_and_a_bad_one_does_not_stop_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (9, 10, 100):
        write(tmp_path, f"step-{step}", named(Q, parts("lora")), ss_steps=str(step))
    (tmp_path / "step-50.safetensors").write_bytes(b"half a download")
    assert main(["inspect", str(tmp_path)]) == 1
    head, *rows, error = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "kind", "rank", "alpha/rank", "layers", "steps", "change"]
    assert [row.split()[0] for row in rows] == ["step-9", "step-10", "step-100"]
    assert [row.split()[5] for row in rows] == ["9", "10", "100"]
    assert error.startswith(f"error: {tmp_path / 'step-50.safetensors'} ")


def test_details_of_many_files_are_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        write(tmp_path, name, named(Q, parts("lora")))
    assert main(["inspect", "--details", str(tmp_path)]) == 0
    blocks = capsys.readouterr().out.split("\n\n")
    assert [block.splitlines()[0].split()[0] for block in blocks] == [
        str(tmp_path / f"{name}.safetensors") for name in "ab"
    ]


def test_json_holds_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "good", named(Q, parts("lora")) | named(K, parts("lora", seed=1)), ss_steps="7")
    (tmp_path / "bad.safetensors").write_bytes(b"")
    assert main(["inspect", "--json", str(tmp_path)]) == 1
    bad, good = json.loads(capsys.readouterr().out)["files"]
    assert bad["error"] == f"{tmp_path / 'bad.safetensors'} is empty (0 bytes); copy or export it again"
    assert (good["kind"], good["ranks"], good["facts"]["steps"]) == ("kohya", [2], "7")
    assert {layer["name"] for layer in good["layers"]} == {Q, K}
    norms = [layer["norm"] for layer in good["layers"]]
    assert good["norm"] == pytest.approx(np.hypot(*norms))
    assert good["blocks"] == [
        {"component": "unet", "block": "mid_block", "norm": pytest.approx(good["norm"])}
    ]


def test_a_name_that_leads_nowhere_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "no/such.safetensors"]) == 2
    assert "no/such.safetensors does not exist" in capsys.readouterr().err


def test_blocks_stand_in_the_order_of_the_model(tmp_path: Path) -> None:
    names = ("up_blocks_1", "down_blocks_10", "down_blocks_2", "mid_block")
    tensors: Tensors = {}
    for name in names:
        tensors |= named(f"lora_unet_{name}_resnets_0_conv1", parts("lora"))
    tensors |= named("lora_unet_conv_in", parts("lora"))
    write(tmp_path, "a", tensors)
    (found,) = inspection.inspect_all([str(tmp_path)], Path())
    blocks = [block for _, block in inspection.block_norms(found)]
    assert blocks == ["down_blocks_2", "down_blocks_10", "mid_block", "up_blocks_1", ""]
    assert "unet others" in inspection_text.blocks([found])


def test_texts_of_the_file_cannot_colour_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "a", named(Q, parts("lora")), ss_output_name="\x1b[31mred", ss_steps="\x1b[1m5")
    write(tmp_path, "b", named(Q, parts("lora")))
    main(["inspect", str(tmp_path / "a.safetensors")])
    main(["inspect", str(tmp_path)])
    assert "\x1b" not in capsys.readouterr().out


def test_the_example_loras_are_read() -> None:
    found = {one.path.stem: one for one in inspection.inspect_all([str(EXAMPLES)], Path())}
    assert "was never trained" in found.pop("untrained").error
    assert {one.lora.kind for one in found.values() if one.lora} == {"diffusers"}
    assert found["underfit"].norm < found["good"].norm < found["overcooked"].norm


def test_no_model_library_is_imported() -> None:
    code = (
        "import sys; from lora_checks.__main__ import main; main(sys.argv[1:]); "
        "print({'torch', 'diffusers', 'peft', 'scipy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "inspect", str(EXAMPLES / "good.safetensors")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.endswith("set()\n")


def test_blocks_of_a_model_that_only_the_base_knows(tmp_path: Path) -> None:
    tensors: Tensors = {}
    for name in (
        "double_stream_blocks.10.block.attn1.to_q",
        "double_stream_blocks.9.block.attn1.to_q",
        "x_in",
    ):
        tensors |= named(f"diffusion_model.{name}", parts("lora"))
    write(tmp_path, "a", tensors)
    (found,) = inspection.inspect_all([str(tmp_path)], tmp_path)
    blocks = list(inspection.block_norms(found))
    assert blocks == [
        ("denoiser", ""),
        ("denoiser", "double_stream_blocks_9"),
        ("denoiser", "double_stream_blocks_10"),
    ]
    assert "3 denoiser layers" in inspection_text.blocks([found])
