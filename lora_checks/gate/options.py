"""Declare the gate's options. Each starts with ``--lora``; other names belong to the project under test."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

import pytest

OPTIONS: dict[str, dict[str, Any]] = {
    "--lora": {
        "action": "append",
        "default": [],
        "metavar": "PATH",
        "help": "gate this LoRA: a .safetensors file, a folder of them, or a quoted pattern; repeatable",
    },
    "--lora-scale": {
        "metavar": "SCALES",
        "help": "gate every LoRA at each of these strengths, such as 0.6,0.8,1.0 (default: 1.0)",
    },
    "--lora-with": {
        "action": "append",
        "default": [],
        "metavar": "PATH",
        "help": "a LoRA that every image is made with, the base's too: PATH or PATH:0.7; repeatable",
    },
    "--lora-images": {
        "action": "append",
        "metavar": "DIR",
        "help": "gate the pictures of this folder, made elsewhere; nothing is generated; a quoted pattern "
        "names several folders; repeatable",
    },
    "--lora-images-from": {
        "action": "append",
        "metavar": "SPEC",
        "help": "prompts, seeds, LoRA and step of them: a pattern such as {prompt}_{seed}.png, or a CSV "
        "(default: metadata)",
    },
    "--lora-images-made-with": {
        "action": "append",
        "metavar": "NAME",
        "help": "what the pictures call the file of --lora, if they give another name or digest",
    },
    "--lora-source": {
        "metavar": "NAME",
        "help": "gate the images of a package's image source, NAME or NAME:ARGUMENT; nothing is generated",
    },
    "--lora-baseline-images": {
        "action": "append",
        "metavar": "DIR",
        "help": "pictures of the same prompts and seeds without the LoRA, made elsewhere too",
    },
    "--lora-policy": {
        "metavar": "DIR",
        "help": "folder with thresholds.yaml and prompts.yaml (default: the current folder)",
    },
    "--lora-thresholds": {"metavar": "FILE", "help": "thresholds instead of the policy's"},
    "--lora-prompts": {
        "metavar": "FILE",
        "help": "prompts instead of the policy's; for --lora-images also .json or .csv",
    },
    "--lora-references": {
        "metavar": "PATH",
        "help": "pictures instead of the policy's: a folder, .tar or .parquet files, .npz statistics for FID",
    },
    "--lora-base": {
        "metavar": "MODEL",
        "help": "base model instead of the policy's: a pipeline folder or a hub id",
    },
    "--lora-offline": {
        "metavar": "KIT",
        "help": "take every weight from this folder, which `lora-checks fetch --to` made, and ask no server",
    },
    "--lora-store": {
        "metavar": "DIR",
        "help": "where images and measurements are kept: a folder, or a URL such as s3://bucket/folder that "
        "machines share (default: .lora_checks)",
    },
    "--lora-store-cache": {
        "metavar": "DIR",
        "help": "local folder in front of a store at a URL (default: in the user's cache folder)",
    },
    "--lora-store-cache-size": {
        "metavar": "SIZE",
        "help": "what that folder may keep after the run, such as 50GB (default: no limit)",
    },
    "--lora-report": {
        "metavar": "DIR",
        "help": "where report.json and report.md go (default: report in the store)",
    },
    "--lora-log": {
        "metavar": "TRACKERS",
        "help": "log to wandb,mlflow,tensorboard,trackio or another tracker; NAME:PROJECT says where",
    },
    "--lora-seeds": {"metavar": "N", "type": int, "help": "images per prompt (default: the policy's)"},
    "--lora-until-decided": {
        "metavar": "MAX",
        "type": int,
        "help": "judge after every batch, and go on until every row is decided or MAX images of a LoRA "
        "are made",
    },
    "--lora-baseline": {
        "metavar": "REPORT",
        "help": "report.json of the last approved release, to compare with; none if there is none yet",
    },
    "--lora-axis": {
        "metavar": "KEY",
        "help": "x of the curves: step, epoch, strength, rank or another key in which the LoRAs differ",
    },
    "--lora-device": {
        "default": "auto",
        "metavar": "NAME",
        "help": "auto, cpu, cuda, cuda:1 or mps (default: auto)",
    },
    "--lora-cluster": {
        "metavar": "ADDRESS",
        "help": "make the images on a Ray cluster: auto (this machine's), HOST:PORT, ray://HOST:PORT, local",
    },
    "--lora-cluster-workers": {
        "type": int,
        "metavar": "N",
        "help": "workers on the cluster (default: one for each GPU, or each node without GPUs)",
    },
    "--lora-cluster-timeout": {
        "type": float,
        "metavar": "SECONDS",
        "help": "replace a worker that is busy longer (default: 10 times the longest job, from 120)",
    },
    "--lora-dtype": {
        "default": "auto",
        "choices": ("auto", "float32", "float16", "bfloat16"),
        "metavar": "FORMAT",
        "help": "number format of the pipeline: float32, float16, bfloat16 or auto (default: auto, "
        "half on cuda only)",
    },
    "--lora-batch-size": {
        "type": int,
        "metavar": "N",
        "help": "images generated at a time (default: 8 on a CPU, 4 elsewhere); halved when memory is short",
    },
    "--lora-offload": {
        "default": "auto",
        "choices": ("auto", "none", "model", "group", "sequential"),
        "metavar": "HOW",
        "help": "move idle weights off the accelerator: none, model, group or sequential, or auto: as far as "
        "is needed, not sequential (default: auto)",
    },
    "--lora-compile": {
        "action": "store_true",
        "help": "compile the denoiser's repeated blocks and swap LoRAs into them; changes pixels a little",
    },
    "--lora-save-memory": {
        "metavar": "WAYS",
        "help": "one or more of vae-slicing,vae-tiling,attention-slicing; "
        "the last two change pixels a little",
    },
}
# Names from version 0.1. They are not registered, so that another plugin or a conftest.py can define them;
# `lora_checks.gate.command_line` reads those that nobody defines.
_BARE = (
    *("images", "images-from", "baseline-images", "policy", "thresholds", "prompts", "references", "base"),
    *("store", "report", "log", "seeds", "until-decided", "baseline", "device", "dtype", "batch-size"),
    *("offload", "save-memory"),
)
NEEDS_LORA = (  # options that mean nothing unless the gate runs
    *("policy", "thresholds", "prompts", "references", "base", "store", "report", "seeds", "scale"),
    *("store_cache", "store_cache_size", "until_decided", "baseline", "log", "source", "axis", "cluster"),
)
NEEDS_CLUSTER = ("cluster_workers", "cluster_timeout")
NEEDS_IMAGES = ("images_from", "images_made_with", "baseline_images")
SWITCHES = {name for name, option in OPTIONS.items() if option.get("action") == "store_true"}  # have no value
BARE = {"--with-lora": "--lora-with", **{f"--{name}": f"--lora-{name}" for name in _BARE}}


def out_of_place(option: Any) -> str:
    """Return what is wrong if options are given without the LoRAs or pictures they are for; "" if nothing."""
    if option.lora_images is None:
        for name in NEEDS_IMAGES:
            if getattr(option, f"lora_{name}") is not None:
                return f"--lora-{name.replace('_', '-')} is for --lora-images DIR: say which pictures"
    if option.lora_cluster is None:
        for name in NEEDS_CLUSTER:
            if getattr(option, f"lora_{name}") is not None:
                return f"--lora-{name.replace('_', '-')} is for --lora-cluster: say which cluster"
    if not gates(option):
        for name in NEEDS_LORA:
            if getattr(option, f"lora_{name}") is not None:
                return (
                    f"--lora-{name.replace('_', '-')} is for the LoRA gate: say which LoRA with --lora PATH "
                    "or which pictures with --lora-images DIR"
                )
    return ""


def gates(option: Any) -> bool:
    """Tell whether the options ask for the gate."""
    return bool(option.lora) or option.lora_images is not None


def add_options(parser: pytest.Parser) -> None:
    """Register the gate's options with pytest."""
    group = parser.getgroup("lora_checks", "LoRA release gate (lora_checks)")
    for name, attributes in OPTIONS.items():
        group.addoption(name, dest=destination(name), **attributes)


def add_bare(parser: pytest.Parser, names: Collection[str]) -> None:
    """Register bare names as aliases that ``--help`` does not show."""
    group = parser.getgroup("lora_checks")
    for name in names:
        attributes = {**OPTIONS[BARE[name]], "help": argparse.SUPPRESS}
        group.addoption(name, dest=destination(BARE[name]), **attributes)


def destination(name: str) -> str:
    """Return the attribute of an option's value: ``--lora-images`` is ``config.option.lora_images``."""
    return name.removeprefix("--").replace("-", "_")
