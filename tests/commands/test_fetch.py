"""`lora-checks fetch` makes a kit that the gate runs from, without a server."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hub_world import COMMIT, serving
from world import MINIATURE, World, environment, row

from lora_checks.core import kit
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.networks import fetching

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.gate  # each in a process of its own
BASE = "team/miniature"
PACK = MINIATURE / "evaluators" / "faces" / "models" / "miniature"


def lora_checks(*arguments: object, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "HF_HUB_OFFLINE": "0", **env}
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        env=environment(given),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def policy(world: World, tmp_path: Path) -> Path:
    """One image without a network, on a base of the hub."""
    folder = world.write(tmp_path / "policy", row("sound", "flat", "max: 0.5"), 1)
    prompts = folder / "prompts.yaml"
    prompts.write_text(prompts.read_text().replace(str(world.pipeline), BASE))
    thresholds = folder / "thresholds.yaml"
    thresholds.write_text("checks:\n" + thresholds.read_text().partition("checks:\n")[2])
    return folder


def test_a_kit_is_fetched_and_the_gate_runs_from_it_alone(world: World, policy: Path, tmp_path: Path) -> None:
    command = ["lora_checks", "fetch", "--policy", policy, "--to", tmp_path / "kit"]
    with serving({BASE: MINIATURE / "pipeline"}) as hub:
        dry = lora_checks(*command, "--dry-run", folder=tmp_path, HF_ENDPOINT=hub)
        assert dry.returncode == 0, dry.stderr
        assert "team/miniature: 12.3 MiB" in dry.stdout, dry.stdout
        assert not list((tmp_path / "kit").rglob("*.safetensors"))
        done = lora_checks(*command, folder=tmp_path, HF_ENDPOINT=hub)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1].startswith(f"carry {tmp_path / 'kit'} along")
        again = lora_checks(*command, folder=tmp_path, HF_ENDPOINT=hub)
        assert again.stdout == "everything is here\n"
    moved = (tmp_path / "kit").rename(tmp_path / "carried")  # and no server any more
    gate = ["pytest", "--lora-policy", policy, "--lora", world.good, "--lora-offline", moved]
    run = lora_checks(*gate, folder=tmp_path, HF_ENDPOINT="http://127.0.0.1:1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"base {BASE} {COMMIT[:6]}" in run.stdout


def test_without_a_server_it_says_what_could_not_be_fetched(policy: Path, tmp_path: Path) -> None:
    done = lora_checks(
        "lora_checks", "fetch", "--policy", policy, folder=tmp_path, HF_ENDPOINT="http://127.0.0.1:1"
    )
    assert done.returncode == 1
    assert "team/miniature: size not known" in done.stdout
    assert "error: base model team/miniature is not on this machine" in done.stdout


def test_a_folder_that_is_no_kit_is_refused(world: World, policy: Path, tmp_path: Path) -> None:
    gate = ["pytest", "--lora-policy", policy, "--lora", world.good, "--lora-offline", tmp_path / "nothing"]
    run = lora_checks(*gate, folder=tmp_path)
    assert run.returncode == 4
    assert "is no kit" in run.stderr


def test_a_kit_comes_too_late_for_a_client_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants  # noqa: F401  # as a notebook has it

    (tmp_path / "huggingface").mkdir()
    monkeypatch.setenv("HF_HOME", "elsewhere")
    with pytest.raises(ConfigError, match="before Python starts"):
        kit.use(tmp_path, offline=True)


# --- networks ----------------------------------------------------------------------------------------


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for path in PACK.iterdir():
            packed.write(path, f"miniature/{path.name}")
    return buffer.getvalue()


def test_a_pack_of_faces_is_unpacked_to_where_the_network_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kit.FACES, str(tmp_path / "faces"))
    with serving({}, {"zoo/miniature.zip": archive()}) as server:
        monkeypatch.setattr(fetching.arcface, "URL", f"{server}/zoo/")
        (download,) = fetching.downloads({"arcface": {"pack": "miniature"}})
        assert not download.here()
        assert download.size() == len(archive())
        download.get()
    assert download.here()
    network = fetching.arcface.ArcFace({"pack": "miniature", "det_size": 64}, "cpu")
    assert network.root == tmp_path / "faces"


def fetched(tmp_path: Path, repository: Path, settings: str, shown: str) -> tuple[list[str], set[str]]:
    """Fetch a network of the hub's "team/model" in a process of its own.

    Returns:
        What it printed: whether the model was here before and its size, whether it is here now and ``shown``;
        and the names of the files that it fetched.
    """
    code = (
        "from lora_checks.networks import fetching\n"
        f"(download,) = fetching.downloads({settings})\n"
        "print(download.here(), download.size())\n"
        "download.get()\n"
        f"print(download.here(), {shown})\n"
    )
    with serving({"team/model": repository}) as hub:
        env = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment({"PYTHONPATH": str(ROOT), **env}),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), {path.name for path in (tmp_path / "home").rglob("snapshots/*/*")}


def test_a_network_of_the_hub_is_fetched_to_where_it_is_looked_for(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("config.json", "model.safetensors", "pytorch_model.bin", "README.md"):
        (repository / name).write_text(name)
    place = "fetching.dino._cached('team/model').name"
    told, files = fetched(tmp_path, repository, "{'dino': {'model': 'team/model'}}", place)
    assert told == [f"False {len('config.json') + len('model.safetensors')}", f"True {COMMIT}"]
    assert files == {"config.json", "model.safetensors"}


def test_a_vision_model_is_fetched_without_what_it_does_not_need(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "original").mkdir(parents=True)
    names = ("config.json", "chat_template.jinja", "model.safetensors")
    for name in (*names, "pytorch_model.bin", "original/a.safetensors"):
        (repository / name).write_text(name)
    settings = "{'vlm': {'kind': 'judge', 'model': 'team/model'}}"
    told, files = fetched(tmp_path, repository, settings, "download.name")
    assert told == [f"False {sum(map(len, names))}", "True team/model"]
    assert files == set(names)


@pytest.mark.parametrize("content", [None, b"not a zip"])
def test_a_download_that_fails_leaves_nothing(content: bytes | None, tmp_path: Path) -> None:
    with serving({}, {} if content is None else {"a.zip": content}) as server:
        download = fetching.Address(f"{server}/a.zip", tmp_path / "models" / "a")
        with pytest.raises(PrerequisiteError, match=r"a\.zip cannot be downloaded"):
            download.get()
    assert list((tmp_path / "models").iterdir()) == []


def test_networks_with_files_of_their_own_are_not_fetched() -> None:
    given = {
        "arcface": {"root": "faces"},
        "clip": {"path": "clip"},
        "lpips": {"trunk_file": "alex.pth"},
        "field": {"kind": "onnx", "file": "a.onnx"},
        "vlm": {"kind": "judge", "path": "vlm"},
        "elsewhere": {"kind": "judge", "api": "chat", "model": "gpt", "endpoint": "https://a.example"},
    }
    assert list(fetching.downloads(given)) == []


def test_every_kind_that_has_weights_elsewhere_is_known() -> None:
    names = [download.name for download in fetching.downloads({
        "arcface": {}, "inception": {}, "lpips": {"net": "vgg"},
        "clip": {"model": "ViT-L-14-quickgelu", "pretrained": "openai"},
        "dino": {"model": "facebook/dinov2-base"},
    })]  # fmt: skip
    assert names == [
        "buffalo_l.zip",
        "pt_inception-2015-12-05-6726825d.pth",
        "vgg16-397923af.pth",
        "timm/vit_large_patch14_clip_224.openai",
        "facebook/dinov2-base",
    ]
