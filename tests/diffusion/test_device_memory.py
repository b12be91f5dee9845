"""What happens when memory ran out, or when somebody interrupts the run before torch is there."""

from __future__ import annotations

import sys

import pytest
import torch

from lora_checks.diffusion.device_memory import free, out_of_memory


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("sizes do not match"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_memory_is_told_from_other_trouble(error: BaseException, is_memory: bool) -> None:
    assert out_of_memory(error) is is_memory


def test_ctrl_c_in_the_middle_of_torch_s_import_is_no_second_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch cannot be imported again after its import was interrupted; the error would hide the Ctrl-C."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError):
        import torch  # noqa: F401
    assert out_of_memory(KeyboardInterrupt()) is False
    assert out_of_memory(MemoryError()) is True
    free("cuda:0")
