"""`lora-checks check` says all that is missing at once, and loads, makes and downloads nothing."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from small_policy import small_policy
from vlm_world import Table
from world import MINIATURE, WITHOUT, Run, World, row, run_module

from lora_checks import run_gate
from lora_checks.__main__ import main
from lora_checks.core.errors import LoraChecksError
from lora_checks.gate import readiness
from lora_checks.policy.reading import load_policy

GOOD = MINIATURE / "loras" / "good.safetensors"


def check(*arguments: object) -> int:
    return main(["check", *map(str, arguments)])


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_policy_that_can_run_is_ready(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert check("--policy", MINIATURE, "--lora", GOOD) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == f"ready: pytest --lora-policy {MINIATURE} --lora {GOOD}"
    assert "64 images at most (32 images of each LoRA, 32 of the base)" in shown
    assert "near-copies, few-copies: each passes with at most 2 of 32 prompts" in shown
    assert not list((tmp_path / ".lora_checks").rglob("*.png"))


def test_the_time_of_earlier_images_is_told(
    world: World, first_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert first_run.report["run"]["made"]["images"] > 0
    assert check("--policy", world.policy, "--store", world.store, "--device", "cpu", "--json") == 0
    findings = {finding["about"]: finding["text"] for finding in json.loads(capsys.readouterr().out)}
    assert re.search(
        r"9 images at most .*, 8 to make; [0-9.]+ s each here before: about ", findings["images"]
    )
    shared = ["--policy", world.policy, "--store", world.store, "--device", "cpu"]
    assert check(*shared, "--lora", world.good) == 0
    assert re.search(r"images: 9 images at most .*, all made before$", capsys.readouterr().out, re.M)


def test_each_prompt_that_is_too_long_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    policy = world.write(Path("policy"), prompts=3)
    path = policy / "prompts.yaml"
    path.write_text(path.read_text().replace("photo of a", "photo of a " + "very " * 25 + "fine"))
    assert check("--policy", policy) == 1
    shown = capsys.readouterr().out
    assert len(re.findall(r"^WRONG  base: .*prompt '.*' has \d+ tokens", shown, re.M)) == 3
    assert shown.splitlines()[-1] == "3 to fix"  # nothing to fetch


def test_everything_that_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], world: World
) -> None:
    rows = (
        row("faces", "arcface", "min: 0.5, rule: bound")
        + row("few", "flat", "max: 0.01, rule: bound")
        + row("lost", "dino", "min: 0.5")
        + row("typo", "sharpnes", "min: 0.5")
    )
    policy = world.write(tmp_path / "policy", rows, 8)
    text = (policy / "thresholds.yaml").read_text()
    networks = "networks:\n  dino: {model: nobody/dino}\n"
    text = text.replace("networks:\n", networks).replace("pack: miniature", "pack: buffalo_l")
    (policy / "thresholds.yaml").write_text(text)
    prompts = (policy / "prompts.yaml").read_text()
    (policy / "prompts.yaml").write_text(prompts.replace(f"model: {world.pipeline}", "model: nobody/base"))
    shutil.copy(GOOD, tmp_path / "good.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"")
    assert check("--policy", policy, "--lora", tmp_path) == 1
    shown = capsys.readouterr().out
    wrong = [line for line in shown.splitlines() if line.startswith("WRONG")]
    for part in (
        "checks: few",
        "checks: typo",
        "networks: arcface",
        "networks: dino",
        "base: nobody/base",
        "bad",
    ):
        assert any(part in line for line in wrong), part
    # base and DINO; the faces have a folder of their own, which `fetch` leaves alone
    fetch = f"lora-checks fetch --policy {policy} (downloads 2 of them)"
    assert shown.splitlines()[-1] == f"{len(wrong)} to fix; next: {fetch}"
    assert "good: diffusers" in shown


def test_what_stops_a_run_is_wrong_here_too(
    tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = world.write(tmp_path / "policy", row("few", "flat", "max: 0.01, rule: bound"), 8)
    run = run_module("pytest", *WITHOUT, "--lora-policy", policy, "--lora", world.good, folder=tmp_path)
    assert run.returncode == 4
    assert check("--policy", policy, "--lora", world.good) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG")]
    assert line.rpartition(": ")[2] in run.stderr + run.stdout


def test_a_lora_of_another_family_is_wrong_before_a_download(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["transformer_blocks_0_attn2_to_k", "transformer_blocks_0_attn2_to_v"]
    block = "lora_unet_down_blocks_1_attentions_0_"
    tensors = {}
    for name in names:
        tensors[f"{block}{name}.lora_down.weight"] = np.ones((4, 2048), np.float32)
        tensors[f"{block}{name}.lora_up.weight"] = np.ones((640, 4), np.float32)
    save_file(tensors, tmp_path / "sdxl.safetensors")
    given = ["--kind", "style", "--trigger", "in sks style", "--class-words", "drawing", "--yes"]
    assert main(["init", "gate", "--base", "sd15", *given]) == 0
    check("--policy", "gate", "--lora", tmp_path / "sdxl.safetensors")
    shown = capsys.readouterr().out
    assert "sdxl: is for SDXL, and the policy's base is Stable Diffusion 1.5" in shown


def test_a_run_says_all_that_is_wrong_with_its_policy_at_once(tmp_path: Path, world: World) -> None:
    rows = row("few", "flat", "max: 0.01, rule: bound") + row("lost", "dino", "min: 0.5")
    policy = world.write(tmp_path / "policy", rows + row("typo", "sharpnes", "min: 0.5"), 8)
    text = (policy / "thresholds.yaml").read_text()
    (policy / "thresholds.yaml").write_text(text.replace("networks:\n", "networks:\n  dino: {model: a/b}\n"))
    with pytest.raises(LoraChecksError) as raised:
        run_gate(world.good, policy=policy, store=tmp_path / "store", device="cpu")
    sentences = str(raised.value).split("; also: ")
    assert len(sentences) == 3
    for part in ("checks: few", "a/b is not on this machine", "'sharpnes'"):
        assert sum(part in sentence for sentence in sentences) == 1


# --- the hub -----------------------------------------------------------------------------------------


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does about one gated model."""

    def do_GET(self) -> None:
        known = "nobody/base" in self.path
        info: dict[str, Any] = {
            "id": "nobody/base",
            "modelId": "nobody/base",
            "gated": "manual",
            "cardData": {"license": "other", "license_name": "some-non-commercial-license"},
            "siblings": [
                {
                    "rfilename": "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
                    "size": 3 << 30,
                },
                {"rfilename": "vae/diffusion_pytorch_model.safetensors", "size": 1 << 30},
                {"rfilename": "vae/diffusion_pytorch_model.fp16.safetensors", "size": 1 << 29},
                {"rfilename": "whole.safetensors", "size": 4 << 30},
            ],
        }
        body = json.dumps(info if known else {"error": "not found"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from huggingface_hub import constants

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("hub")
def test_the_size_and_licence_of_a_base_are_told_before_a_download(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = world.write(tmp_path / "policy")
    assert check("--policy", policy, "--base", "nobody/base") == 1
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if "base: " in line]
    for part in (
        "4.0 GiB of weights",
        "some-non-commercial-license",
        "hf auth login",
        "hf download nobody/base",
    ):
        assert part in line
    assert check("--policy", policy, "--base", "nobody/other") == 1
    assert "the hub cannot be asked" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["download", "auth login"])
def test_the_hub_s_client_has_the_commands_of_our_messages(command: str) -> None:
    hf = Path(sys.executable).with_name("hf")
    done = subprocess.run([str(hf), *command.split(), "--help"], capture_output=True, check=False)
    assert done.returncode == 0


def test_no_message_names_a_command_that_the_client_has_not() -> None:
    package = Path(readiness.__file__).parents[1]
    for path in package.rglob("*.py"):
        for name in re.findall(r"`(?:hf|huggingface-cli) ([a-z-]+)", path.read_text()):
            assert name in ("download", "auth"), path


def test_the_shipped_policy_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    root = MINIATURE.parents[1]
    assert load_policy(root, references=MINIATURE / "references").thresholds
    assert main(["check", "--policy", str(root)]) == 2  # it has no pictures of its own
    assert "references" in capsys.readouterr().err


def test_the_licence_of_a_networks_weights_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], world: World
) -> None:
    policy = world.write(tmp_path / "policy", row("unsafe", "unsafe", "stat: max, max: 0.8"))
    path = policy / "thresholds.yaml"
    path.write_text(path.read_text().replace("networks:\n", "networks:\n  opennsfw: {}\n"))
    check("--policy", policy, "--device", "cpu")
    assert re.search(
        r"networks: safety: open_nsfw \(.*\); licence: Apache-2\.0; its weights", capsys.readouterr().out
    )


def test_what_a_vision_model_will_be_asked_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: type[Table]
) -> None:
    rows = "checks:\n  limbs: {metric: judge, question: limbs, min: 0.5, why: w}\n"
    budget = "budget: {money: 5, price: 1000}"
    small_policy(tmp_path, f"networks: {{vlm: {{kind: judge, api: table, {budget}}}}}\n{rows}")
    prompts = (tmp_path / "prompts.yaml").read_text()
    (tmp_path / "prompts.yaml").write_text(prompts.replace("model: pipeline", "model: acme/base"))
    check("--policy", tmp_path, "--json")
    findings = {finding["about"]: finding["text"] for finding in json.loads(capsys.readouterr().out)}
    assert findings["networks: judge"] == "a table"
    told = findings["questions: vlm"]
    assert re.match(
        r"11 questions at most to a table, about 1,[0-9]{3} tokens \(1\.[0-9]{2} in money\);", told
    ), told
    assert table.asked == []
