"""Bases quantised by bitsandbytes, torchao and quanto: loaded, LoRAs proven on them, faults found.

The libraries print and slow every import, so they lie in a folder of their own (tests/quantized.txt) and run
in a process of their own (tests/quantised_run.py), once for all tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.records import Base, Quantization
from lora_checks.diffusion.quantised import formats, networks

ROOT = Path(__file__).parents[2]
DENOISERS = (
    *(
        "torchao int8wo bfloat16",
        "torchao int8dq float32",
        "torchao int8dq bfloat16",
        "torchao fp8wo bfloat16",
    ),
    *("quanto int8 float32", "quanto int8 bfloat16", "quanto fp8 bfloat16"),
    *("quanto int4 float32", "quanto int2 float32"),
)
LAYERS = ("layers nf4 bfloat16", "layers fp4 float32", "layers int8 bfloat16")
PLACE = "prompts.yaml:4: base.quantization.transformer"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each case of tests/quantised_run.py printed."""
    folder = Path(os.environ.get("LORA_CHECKS_QUANTIZED") or ROOT / "build" / "quantized")
    if not (folder / "torchao").is_dir():
        pytest.skip("pip install --no-deps --target build/quantized -r tests/quantized.txt")
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", folder)))
    command = [sys.executable, str(ROOT / "tests" / "quantised_run.py"), str(tmp_path_factory.mktemp("run"))]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    return {one.pop("case"): one for one in found}


@pytest.mark.torch
@pytest.mark.parametrize("name", [*DENOISERS, *LAYERS, "saved torchao"])
def test_loras_are_proven_beside_quantised_weights(cases: dict[str, dict[str, Any]], name: str) -> None:
    case = cases[name]
    assert case.get("error") is None
    assert case["spread"] > 0.1  # of the pixels of the image that was made
    assert case["lora"] > 0.05
    assert case["dora"] > case["lora"]


@pytest.mark.torch
@pytest.mark.parametrize("name", [*DENOISERS, *LAYERS])
def test_what_goes_wrong_is_found(cases: dict[str, dict[str, Any]], name: str) -> None:
    case = cases[name]
    assert "acts at 0.5 times the strength that the file states" in case["half"]
    assert "away from that of its dequantised weight" in case["kernel"]
    assert "does not arrive in the output of the quantised layer" in case["swallowed"]


@pytest.mark.torch
@pytest.mark.parametrize("name", DENOISERS)
def test_library_format_and_version_are_in_the_identity(cases: dict[str, dict[str, Any]], name: str) -> None:
    words, case = name.rpartition(" ")[0], cases[name]
    assert case["format"] == words
    assert f" transformer {words} without context_embedder, x_embedder, linear_1 (" in case["identity"]


@pytest.mark.torch
def test_memory_is_counted_in_the_formats_bits(cases: dict[str, dict[str, Any]]) -> None:
    eight, four, two = (cases[f"quanto {name} float32"]["room"] for name in ("int8", "int4", "int2"))
    assert 1.7 < eight / four < 2.0
    assert 1.7 < four / two < 2.0
    # As it was saved: scales, and the modules that were skipped.
    assert 1.0 < cases["saved torchao"]["room"] / cases["torchao int8wo bfloat16"]["room"] < 1.1
    assert cases["saved torchao"]["label"].endswith(", transformer torchao int8wo")


@pytest.mark.torch
@pytest.mark.parametrize(
    "name", ["text bitsandbytes nf4", "text bitsandbytes int8", "text torchao int8wo", "text quanto int8"]
)
def test_text_encoders_are_quantised(cases: dict[str, dict[str, Any]], name: str) -> None:
    assert cases[name].get("error") is None
    assert cases[name]["quantised"] >= 10
    assert cases[name]["spread"] > 0.1


@pytest.mark.torch
def test_what_would_end_the_process_is_refused(cases: dict[str, dict[str, Any]]) -> None:
    assert "torch would crash on layers whose columns are no multiple of 16" in cases["narrow"]["error"]
    assert "write `skip: [linear_1]` there" in cases["narrow"]["error"]


@pytest.mark.torch
def test_diffusers_still_refuses_bitsandbytes_without_a_gpu(cases: dict[str, dict[str, Any]]) -> None:
    """Which is why `formats.BNB_DENOISERS` lacks the CPU."""
    assert "No GPU found" in cases["no gpu"]["error"]


def saved(folder: Path, **config: Any) -> Path:
    """A pipeline folder that says that its transformer is quantised."""
    (folder / "transformer").mkdir()
    said = {"_diffusers_version": "0.42.0"} | ({"quantization_config": config} if config else {})
    (folder / "transformer" / "config.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "bitsandbytes nf4",
        ),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes int8"),
        ({"quant_method": "quanto", "weights_dtype": "float8"}, "quanto fp8"),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}},
            "torchao int8wo",
        ),
    ],
)
def test_a_network_that_was_saved_quantised_is_recognised(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    (network,) = networks.saved(saved(tmp_path, **config))
    assert (network.name, network.words, network.saved) == ("transformer", words, True)


@pytest.mark.parametrize(
    ("config", "how"),
    [
        ({"quant_method": "nunchaku"}, "quantised by nunchaku, on which no LoRA can be proven"),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}},
            "quantised by torchao Int4WeightOnlyConfig",
        ),
        ({"bits": 4}, "quantised by an unknown method"),
    ],
)
def test_a_method_that_nothing_can_be_proven_on(tmp_path: Path, config: dict[str, Any], how: str) -> None:
    with pytest.raises(ConfigError, match=how):
        networks.saved(saved(tmp_path, **config))


def test_a_plain_folder_has_no_quantised_network(tmp_path: Path) -> None:
    assert networks.saved(saved(tmp_path)) == ()


@pytest.mark.parametrize(
    ("library", "name", "device", "said"),
    [
        (
            "bitsandbytes",
            "nf4",
            "cpu",
            r"bitsandbytes nf4 does not run on cpu \(it runs on cuda, mps, xpu\); choose",
        ),
        ("torchao", "fp8dq", "mps", r"torchao fp8dq does not run on mps \(it runs on cuda\)"),
    ],
)
def test_a_device_that_cannot_run_a_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, name: str, device: str, said: str
) -> None:
    monkeypatch.setattr(networks, "installed", lambda *_: "1.0")
    network = networks.Network("transformer", library, name, place=PLACE)
    with pytest.raises(ConfigError, match=f"{PLACE}: {said}"):
        networks.check((network,), saved(tmp_path), device, "none")
    networks.check((network,), tmp_path, "cuda:1", "model")


def test_a_package_that_is_missing_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = formats.Library("no-such-package-here", "quantized", formats.LIBRARIES["torchao"].formats)
    monkeypatch.setitem(formats.LIBRARIES, "torchao", absent)  # type: ignore[arg-type]
    asked = Base("x", quantization={"transformer": Quantization("torchao", "int8wo", place=PLACE)})
    with pytest.raises(
        PrerequisiteError, match=r"no-such-package-here is not installed; .*lora-checks\[quantized\]"
    ):
        networks.asked(asked, saved(tmp_path))


def test_a_network_that_was_saved_quantised_is_not_quantised_again(tmp_path: Path) -> None:
    folder = saved(tmp_path, quant_method="bitsandbytes", load_in_8bit=True)
    asked = Base("x", quantization={"transformer": Quantization("torchao", "int8wo", place=PLACE)})
    with pytest.raises(
        ConfigError, match="this base was saved with its transformer quantised; remove the key"
    ):
        networks.asked(asked, folder)
