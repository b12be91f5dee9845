"""Tell when a device's memory ran out, and release what torch holds of it."""

from __future__ import annotations

import gc
import sys

# torch has a class for CUDA, but only a message for MPS, for the CPU and for CUDA's libraries.
MESSAGES = (
    *("out of memory", "can't allocate memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
)


def out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, of a device or of the machine.

    Imports nothing: the error may be a Ctrl-C in the middle of torch's own import, which cannot be repeated.
    """
    of_torch = getattr(sys.modules.get("torch"), "OutOfMemoryError", MemoryError)
    if isinstance(error, MemoryError | of_torch):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)


def free(device: str) -> None:
    """Release the memory that torch caches; otherwise the next attempt has no more room than this one."""
    gc.collect()
    kind, torch = device.partition(":")[0], sys.modules.get("torch")
    if torch is not None and kind in ("cuda", "mps"):
        (torch.cuda if kind == "cuda" else torch.mps).empty_cache()
