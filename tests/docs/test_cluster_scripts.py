"""The scripts in examples/cluster/, with stand-ins for Slurm, ssh and Ray; and its YAML against schemas."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from stand_ins import Call, StandIns

from lora_checks.gate import options

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "cluster"
SCHEMAS = ROOT / "tests" / "data" / "cluster"
GATE = {"LORAS": "runs", "POLICY": "policy", "STORE": "/shared/store"}
SLURM = GATE | {
    "SLURM_JOB_ID": "4242", "SLURM_JOB_NODELIST": "gpu[1-3]", "SLURM_JOB_NUM_NODES": "3",
    "SLURM_GPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "32", "STARTED": "2",
}  # fmt: skip
ARRAY = GATE | {
    "SLURM_JOB_ID": "51", "SLURM_ARRAY_JOB_ID": "50", "SLURM_ARRAY_TASK_COUNT": "3",
    "SLURM_ARRAY_TASK_MIN": "0",
}  # fmt: skip


@pytest.fixture
def stand_ins(tmp_path: Path) -> StandIns:
    made = StandIns(tmp_path / "bin", {"scontrol": "gpu1\ngpu2\ngpu3", "hostname": "10.0.0.1 fe80::1"})
    made.add("srun", "scontrol", "hostname", "ray", "ssh", "pytest", "sleep")
    return made


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.s*h*")), ids=lambda path: path.name)
def test_bash_reads_it(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    assert "set -euo pipefail" in path.read_text()


# slurm-ray.sbatch


def test_slurm_starts_a_head_then_the_others_and_then_one_gate(stand_ins: StandIns, tmp_path: Path) -> None:
    done = stand_ins.run(SCRIPTS / "slurm-ray.sbatch", tmp_path, **SLURM)
    assert done.returncode == 0, done.stderr
    (head,), (others,) = stand_ins.of("srun", "--head"), stand_ins.of("srun", "--address=10.0.0.1:24242")
    assert head.option("--nodelist") == "gpu1"
    assert (head.option("--node-ip-address"), head.option("--port")) == ("10.0.0.1", "24242")
    assert (others.option("--nodes"), others.option("--exclude")) == ("2", "gpu1")
    assert {call.option("--num-gpus") for call in (head, others)} == {"8"}
    (gate,) = stand_ins.of("pytest")
    assert gate.argv[:4] == ["--lora-cluster", "auto", "--lora-cluster-workers", "24"]
    assert gate.option("--lora-store") == "/shared/store"
    assert gate.env["RAY_ADDRESS"] == "10.0.0.1:24242"
    names = [call.name for call in stand_ins.calls]
    assert names.index("scontrol") < names.index("srun") < names.index("ray") < names.index("pytest")


def test_slurm_gives_every_process_one_token_and_no_command_line_has_it(
    stand_ins: StandIns, tmp_path: Path
) -> None:
    stand_ins.run(SCRIPTS / "slurm-ray.sbatch", tmp_path, **SLURM)
    check_token([*stand_ins.of("srun", "start"), *stand_ins.of("pytest")])
    (token,) = {call.env["RAY_AUTH_TOKEN"] for call in stand_ins.of("pytest")}
    assert not any(token in part for call in stand_ins.calls for part in call.argv)


@pytest.mark.parametrize("status", ["0", "1", "4"])
def test_slurm_ends_with_the_gate_s_status(stand_ins: StandIns, tmp_path: Path, status: str) -> None:
    done = stand_ins.run(SCRIPTS / "slurm-ray.sbatch", tmp_path, **SLURM, PYTEST_STATUS=status)
    assert done.returncode == int(status)
    assert [call.name for call in stand_ins.calls if call.ended] == ["srun", "srun"]


def test_slurm_on_one_node_starts_no_others(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.run(
        SCRIPTS / "slurm-ray.sbatch", tmp_path, **SLURM | {"SLURM_JOB_NUM_NODES": "1", "STARTED": "1"}
    )
    assert len(stand_ins.of("srun", "start")) == 1
    assert stand_ins.of("pytest")[0].option("--lora-cluster-workers") == "8"


# slurm-array.sbatch


@pytest.fixture
def loras(tmp_path: Path) -> list[str]:
    """Seven files, one with a space in its name."""
    (tmp_path / "runs").mkdir()
    names = [f"runs/step {n}.safetensors" if n == 3 else f"runs/step-{n}.safetensors" for n in range(7)]
    for name in (*names, "runs/optimizer.pt"):
        (tmp_path / name).touch()
    return names


def task(stand_ins: StandIns, folder: Path, number: int, **env: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPTS / "slurm-array.sbatch"
    return stand_ins.run(script, folder, **ARRAY | {"SLURM_ARRAY_TASK_ID": str(number)} | env)


def shares(stand_ins: StandIns) -> list[list[str]]:
    calls = stand_ins.of("pytest")
    return [[call.argv[i + 1] for i, part in enumerate(call.argv) if part == "--lora"] for call in calls]


@pytest.mark.parametrize("first", [0, 5])
def test_the_tasks_share_the_loras(stand_ins: StandIns, tmp_path: Path, loras: list[str], first: int) -> None:
    for number in range(first, first + 3):
        assert task(stand_ins, tmp_path, number, SLURM_ARRAY_TASK_MIN=str(first)).returncode == 0
    found = shares(stand_ins)
    assert sorted(name for share in found for name in share) == sorted(loras)
    assert sorted(map(len, found)) == [2, 2, 3]
    reports = {call.option("--lora-report") for call in stand_ins.of("pytest")}
    assert len(reports) == 3
    assert {call.option("--lora-store") for call in stand_ins.of("pytest")} == {"/shared/store"}


def test_a_task_without_loras_gates_nothing(stand_ins: StandIns, tmp_path: Path, loras: list[str]) -> None:
    done = task(stand_ins, tmp_path, 9, SLURM_ARRAY_TASK_COUNT="10")
    assert done.returncode == 0
    assert "only 7 files" in done.stdout
    assert not (tmp_path / "bin" / ".calls").exists()
    assert len(loras) == 7


@pytest.mark.parametrize(("status", "expected"), [("0", 0), ("1", 0), ("4", 4), ("137", 137)])
def test_a_task_fails_only_for_trouble(
    stand_ins: StandIns, tmp_path: Path, loras: list[str], status: str, expected: int
) -> None:
    assert task(stand_ins, tmp_path, 0, PYTEST_STATUS=status).returncode == expected
    assert len(shares(stand_ins)[0]) == len(loras[::3])


@pytest.mark.parametrize("status", ["0", "1", "4"])
def test_the_last_job_gates_all_and_ends_with_the_verdict(
    stand_ins: StandIns, tmp_path: Path, loras: list[str], status: str
) -> None:
    env = GATE | {"SLURM_JOB_ID": "60", "PYTEST_STATUS": status}
    done = stand_ins.run(SCRIPTS / "slurm-array.sbatch", tmp_path, **env)
    assert done.returncode == int(status)
    (gate,) = stand_ins.of("pytest")
    assert gate.option("--lora") == "runs"
    assert gate.option("--lora-report") == "lora-report-60"
    assert len(loras) == 7


# hosts.sh


def test_hosts_join_over_ssh_and_end_with_the_gate(stand_ins: StandIns, tmp_path: Path) -> None:
    env = GATE | {"HOSTS": "gpu-2 gpu-3", "GPUS": "8", "PYTEST_STATUS": "1", "STARTED": "3"}
    done = stand_ins.run(SCRIPTS / "hosts.sh", tmp_path, **env)
    assert done.returncode == 1, done.stderr
    assert [call.option("-o") for call in stand_ins.of("ssh")] == ["BatchMode=yes"] * 2
    assert {call.argv[-2] for call in stand_ins.of("ssh")} == {"gpu-2", "gpu-3"}
    starts = stand_ins.of("ray", "start")
    (head,) = stand_ins.of("ray", "--head")
    joined = [call for call in starts if "--address=10.0.0.1:6379" in call.argv]
    assert len(starts) == 3
    assert len(joined) == 2
    (gate,) = stand_ins.of("pytest")
    assert gate.argv[:4] == ["--lora-cluster", "auto", "--lora-cluster-workers", "24"]
    check_token([*starts, gate])
    assert not any(head.env["RAY_AUTH_TOKEN"] in part for call in stand_ins.calls for part in call.argv)
    assert [call.name for call in stand_ins.calls if call.ended and "start" in call.argv] == ["ray"] * 3


def check_token(calls: list[Call]) -> None:
    tokens = {call.env.get("RAY_AUTH_TOKEN", "") for call in calls}
    assert len(tokens) == 1
    assert re.fullmatch(r"[0-9a-f]{64}", tokens.pop())
    assert {call.env["RAY_AUTH_MODE"] for call in calls} == {"token"}


@pytest.mark.parametrize("name", ["slurm-ray.sbatch", "slurm-array.sbatch", "hosts.sh"])
def test_without_a_variable_it_says_which(stand_ins: StandIns, tmp_path: Path, name: str) -> None:
    done = stand_ins.run(SCRIPTS / name, tmp_path, LORAS="runs", POLICY="policy")
    assert done.returncode != 0
    assert "STORE: a folder or URL that every" in done.stderr
    assert not (tmp_path / "bin" / ".calls").exists()


# YAML


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SCRIPTS / name).read_text())
    return found


@pytest.mark.parametrize(
    ("name", "schema"), [("kuberay-rayjob.yaml", "rayjob"), ("skypilot.yaml", "skypilot")]
)
def test_the_yaml_is_of_its_schema(name: str, schema: str) -> None:
    shape = json.loads((SCHEMAS / f"{schema}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(shape)
    jsonschema.Draft202012Validator(shape).validate(read(name))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("authOptions", "authOption"),
        ("maxReplicas: 3", "maxReplica: 3"),
        ("rayClusterSpec", "clusterSpec"),
        ("mode: token", "mode: none"),
    ],
)
def test_the_schema_refuses_what_the_operator_refuses(old: str, new: str) -> None:
    shape = json.loads((SCHEMAS / "rayjob.schema.json").read_text())
    text = (SCRIPTS / "kuberay-rayjob.yaml").read_text()
    assert old in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(shape).validate(yaml.safe_load(text.replace(old, new)))


def test_kuberay_has_as_many_workers_as_gpus(stand_ins: StandIns, tmp_path: Path) -> None:
    spec = read("kuberay-rayjob.yaml")["spec"]
    assert stand_ins.run(spec["entrypoint"], tmp_path).returncode == 0
    cluster = spec["rayClusterSpec"]
    groups = [(1, cluster["headGroupSpec"]), *((g["replicas"], g) for g in cluster["workerGroupSpecs"])]
    gpus = sum(
        replicas * int(container["resources"]["limits"]["nvidia.com/gpu"])
        for replicas, group in groups
        for container in group["template"]["spec"]["containers"]
    )
    (gate,) = stand_ins.of("pytest")
    assert gate.option("--lora-cluster-workers") == str(gpus)
    assert cluster["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("rank", [0, 1])
def test_skypilot_gates_on_the_first_node(stand_ins: StandIns, tmp_path: Path, rank: int) -> None:
    templates = tmp_path / "sky_templates" / "ray"
    templates.mkdir(parents=True)
    stand_ins.add("start_cluster")
    (templates / "start_cluster").symlink_to(tmp_path / "bin" / "start_cluster")
    env = {"SKYPILOT_NODE_RANK": str(rank), "SKYPILOT_NUM_NODES": "2", "SKYPILOT_NUM_GPUS_PER_NODE": "8"}
    token = {"RAY_AUTH_TOKEN": "a" * 64, "STORE": "/mnt/shared/x"}
    done = stand_ins.run(read("skypilot.yaml")["run"], tmp_path, **env, **token)
    assert done.returncode == 0, done.stderr
    names = [call.name for call in stand_ins.calls]
    assert names == (["start_cluster", "pytest"] if rank == 0 else ["start_cluster"])
    check_token(stand_ins.calls)
    if rank == 0:
        assert stand_ins.of("pytest")[0].option("--lora-cluster-workers") == "16"


# All of them


def test_they_use_options_that_the_gate_has() -> None:
    texts = [path.read_text() for path in SCRIPTS.iterdir()]
    used = {option for text in texts for option in re.findall(r"--lora[a-z-]*", text)}
    assert used <= set(options.OPTIONS)


def test_the_page_names_each_of_them() -> None:
    page = (ROOT / "docs" / "how-to" / "cluster-schedulers.md").read_text()
    assert all(f"examples/cluster/{path.name}" in page for path in SCRIPTS.iterdir())
