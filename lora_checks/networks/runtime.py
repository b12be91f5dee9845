"""Start ONNX Runtime in the same way for every network."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lora_checks.core.errors import PrerequisiteError
from lora_checks.networks.weights import cause

# Since 1.29 its builds for Linux start an uploader as soon as they are imported, unless this is set; the user
# did not ask for it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "mps": "CPUExecutionProvider"}


def open_session(kind: str, file: Path, device: str) -> Any:
    """Load an ONNX file; raise `PrerequisiteError` if it cannot be loaded."""
    from onnxruntime import InferenceSession

    try:
        # By path: given bytes, ONNX Runtime would look for weight files in the current folder.
        return InferenceSession(
            str(file),
            session_options(),
            providers=[provider(kind, device)],
            provider_options=provider_options(device),
        )
    except PrerequisiteError:
        raise
    except Exception as error:  # its own errors derive from Exception alone
        raise PrerequisiteError(f"networks: {kind}: {file} cannot be loaded: {cause(error)}") from error


@contextlib.contextmanager
def no_search() -> Iterator[None]:
    """Keep cuDNN from trying every algorithm for each new shape: a few pictures never earn that back.

    Its heuristic also chooses the same algorithm in each run, and another one gives other last digits.
    """
    torch: Any = sys.modules.get("torch")  # before it is imported, the search is off
    if torch is None or not torch.backends.cudnn.benchmark:
        yield
        return
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = True


def session_options() -> Any:
    """Return options with ``OMP_NUM_THREADS`` threads: torch obeys the variable, ONNX Runtime does not."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdigit():
        options.intra_op_num_threads = int(asked)
    return options


def provider(kind: str, device: str) -> str:
    """Return the provider for a device; raise `PrerequisiteError` if this onnxruntime lacks it.

    onnxruntime itself would fall back to the CPU silently.
    """
    wanted = PROVIDERS.get(device.partition(":")[0], "CPUExecutionProvider")
    if wanted != "CPUExecutionProvider":
        import onnxruntime

        if wanted not in onnxruntime.get_available_providers():
            raise PrerequisiteError(
                f"networks: {kind}: this onnxruntime has no {wanted}; pip install onnxruntime-gpu, "
                "or let the network compute on the CPU with `device: cpu`"
            )
    return wanted


def provider_options(device: str) -> list[dict[str, str]]:
    """Return the options of `provider`: the card that torch computes on, and not always the first.

    Both libraries count the cards that CUDA_VISIBLE_DEVICES leaves.
    """
    kind, _, index = device.partition(":")
    return [{"device_id": index}] if kind == "cuda" and index else [{}]
