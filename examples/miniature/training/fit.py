"""Train the evaluators: AdamW, warm-up and cosine, a checkpoint to resume from.

Under torchrun each process draws batches of its own, and the gradients are averaged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import save_checkpoint
from torch import Tensor, distributed, nn

WARM_UP = 100
SAVE_EVERY = 100


def fit(
    model: nn.Module,
    loss_of: Callable[[np.random.Generator], Tensor],
    checkpoint: Path,
    *,
    steps: int,
    rate: float,
    seed: int,
    until: int | None = None,
    warm_up: int = WARM_UP,
) -> None:
    """Train `model` in place. Step i draws its batch from (seed, i): a resumed run sees the same batches.

    The rate falls to 0 at `steps`; `until` ends before that.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-3, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate_factor(step, steps, warm_up))
    stateful = {"model": model, "optimiser": optimiser, "schedule": schedule}
    done = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        done = saved["step"]
        for name, part in stateful.items():
            part.load_state_dict(saved[name])
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    started, mean = time.time(), 0.0
    model.train()
    for step in range(done, until or steps):
        loss = loss_of(np.random.default_rng([seed, step, rank] if rank else [seed, step]))
        optimiser.zero_grad()
        loss.backward()
        if distributed.is_initialized():
            _average_gradients(model)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        mean = loss.item() if step == done else 0.98 * mean + 0.02 * loss.item()
        if rank == 0 and ((step + 1) % SAVE_EVERY == 0 or step + 1 == (until or steps)):
            states = {name: part.state_dict() for name, part in stateful.items()}
            save_checkpoint(checkpoint, step=step + 1, **states)
            elapsed = time.time() - started
            print(f"{checkpoint.stem} {step + 1}/{steps} loss {mean:.4f} {elapsed:.0f} s", flush=True)
    model.eval()


def _average_gradients(model: nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    together = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    distributed.all_reduce(together)
    together /= distributed.get_world_size()
    for parameter, part in zip(
        model.parameters(), together.split([p.numel() for p in model.parameters()]), strict=True
    ):
        parameter.grad = part.view_as(parameter)


def _rate_factor(step: int, steps: int, warm_up: int) -> float:
    return float(min(1.0, (step + 1) / warm_up) * 0.5 * (1 + np.cos(np.pi * min(1.0, step / steps))))
