"""Train the miniature's judge: a small LLaVA that answers questions about its pictures with yes or no.

    python train_vlm.py sight    # its vision tower, by labels
    torchrun --nproc-per-node 3 train_vlm.py speech fluency finish polish glasses details    # by questions
    python train_vlm.py export

Each stage continues where it was killed. Needs the pictures that `vlm_pictures.py` makes.

Checkpoints were carried between the stages by hand, while faults, questions and the heads of hints changed;
the stages were never run in one piece from nothing. `vlm_stages.py` has their lengths and rates; sight ran in
one process, the others in three or four. Before polish there was another one of 240 steps (seed 46).
"""

# mypy: disable-error-code="no-untyped-call, union-attr"
# (transformers types few of its constructors, and parts of a configuration as anything)

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import RUNS
from fit import fit
from torch import Tensor, distributed, nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration
from vlm_batches import IGNORED, Packed, Packer, Row
from vlm_model import VLM_DIR, make_model, make_processor, make_tokenizer
from vlm_samples import Sample, sample
from vlm_sight import HINTS, SEEN, Sight, sight_loss, to_tensor
from vlm_stages import SIGHT, SPEECH, Stage, rows_of

SIGHT_WEIGHT = 0.05
HINT_WEIGHT = 0.5
CAPTION_WEIGHT = 0.1  # of each of a caption's words, next to an answer
Loss = Callable[[np.random.Generator], Tensor]


class Learner(nn.Module):
    """The model, and the heads that only its training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = make_tokenizer()
        self.model = make_model(self.tokenizer)
        self.sight = Sight(self.model.config.vision_config.hidden_size)
        width = self.model.config.text_config.hidden_size
        self.wrong = nn.Linear(width, 1)
        self.alike = nn.Linear(width, 2 * SEEN + len(HINTS))


def look(model: LlavaForConditionalGeneration, samples: list[Sample]) -> Tensor:
    """Return the vision tower's patches, (N, patches, width), as LLaVA's own code chooses them."""
    return torch.as_tensor(model.model.vision_tower(to_tensor(samples)).last_hidden_state[:, 1:])


def first_loss(learner: Learner, rng: np.random.Generator) -> Tensor:
    samples = [sample(rng) for _ in range(SIGHT.singles)]
    with torch.autocast("cpu", torch.bfloat16):  # a third faster
        return sight_loss(learner.sight, look(learner.model, samples), [truth for _, truth in samples])


def read(model: LlavaForConditionalGeneration, features: Tensor, packed: Packed) -> Tensor:
    """Return the language model's last hidden states, (rows, length, width)."""
    embedded = model.get_input_embeddings()(packed.ids)
    places = (packed.ids == model.config.image_token_index)[..., None]
    embedded = embedded.masked_scatter(places, features[packed.images].to(embedded.dtype))
    hidden = model.model.language_model(
        inputs_embeds=embedded, attention_mask=packed.mask, position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    return torch.as_tensor(hidden)


def hint_loss(learner: Learner, hidden: Tensor, packed: Packed) -> Tensor:
    """Return the loss of which words are wrong, and of what two persons have in common."""
    told = packed.wrong != IGNORED
    loss = hidden.sum() * 0
    if told.any():
        scores, truth = learner.wrong(hidden[told])[:, 0].float(), packed.wrong[told].float()
        loss = loss + functional.binary_cross_entropy_with_logits(scores, truth, pos_weight=torch.tensor(5.0))
    if packed.hinted.any():
        scores = learner.alike(hidden[packed.hinted]).float()
        loss = loss + 3 * functional.binary_cross_entropy_with_logits(scores, packed.hints)
    return loss


class Tally:
    """The share of right answers to each question, lately."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}
        self.batches = 0

    def add(self, names: list[str], right: Tensor) -> None:
        for name, each in zip(names, right.float().tolist(), strict=True):
            self.shares[name] = 0.99 * self.shares.get(name, 0.5) + 0.01 * each
        self.batches += 1
        if self.batches % 100 == 0:
            print({name: round(share, 3) for name, share in sorted(self.shares.items())}, flush=True)


def speech_loss(
    learner: Learner, packer: Packer, tally: Tally, stage: Stage, rng: np.random.Generator
) -> Tensor:
    """Return the loss of answers, captions and hints, and a part of that of the vision tower's heads."""
    samples, rows = rows_of(stage, rng)
    with torch.set_grad_enabled(not stage.still), torch.autocast("cpu", torch.bfloat16):
        patches = look(learner.model, samples)
        truths = [truth for _, truth in samples]
        seen = torch.zeros(()) if stage.still else sight_loss(learner.sight, patches, truths)
    return answer_loss(learner, patches, rows, packer, tally, rng) + SIGHT_WEIGHT * seen


def answer_loss(
    learner: Learner, patches: Tensor, rows: list[Row], packer: Packer, tally: Tally, rng: np.random.Generator
) -> Tensor:
    model = learner.model
    yes, no = packer.words("yes")[0], packer.words("no")[0]
    with torch.autocast("cpu", torch.bfloat16):
        features = torch.as_tensor(model.model.multi_modal_projector(patches))
    losses, weights, hinted = [], [], torch.zeros(())
    for group in _by_pictures(rows):
        packed = packer.packed(group, rng)
        counted = packed.targets != IGNORED
        with torch.autocast("cpu", torch.bfloat16):
            hidden = read(model, features, packed)
            logits = model.lm_head(hidden[counted])
            hinted = hinted + hint_loss(learner, hidden, packed)
        logits, targets, answers = logits.float(), packed.targets[counted], packed.answers[counted]
        losses.append(functional.cross_entropy(logits, targets, reduction="none"))
        weights.append(torch.where(answers, 1.0, CAPTION_WEIGHT))
        right = (logits[answers][:, yes] > logits[answers][:, no]) == (targets[answers] == yes)
        tally.add(packed.names, right)
    weight = torch.cat(weights)
    return (torch.cat(losses) * weight).sum() / weight.sum() + HINT_WEIGHT * hinted


def _by_pictures(rows: list[Row]) -> list[list[Row]]:
    return [[row for row in rows if len(row.images) == count] for count in (1, 2)]


def trained(runs: Path, name: str) -> Learner:
    """Return the learner after a stage, which goes on from its own checkpoint or from the stage before it."""
    names, checkpoint = ["sight", *SPEECH], runs / f"vlm-{name}.pt"
    stage = SPEECH.get(name, SIGHT)
    torch.manual_seed(0)
    whole = name == "sight" or (checkpoint.exists() and not stage.still)
    learner = Learner() if whole else trained(runs, names[names.index(name) - 1])
    loss_of = partial(speech_loss, learner, Packer(learner.tokenizer), Tally(), stage)
    fit(
        _speaking(learner) if stage.still else learner,
        partial(first_loss, learner) if name == "sight" else loss_of,
        checkpoint,
        rate=stage.rate,
        seed=stage.seed,
        steps=stage.steps,
        until=stage.until,
        warm_up=stage.warm_up,
    )
    return learner


def _speaking(learner: Learner) -> nn.Module:
    """Return all parts but the vision tower and its heads."""
    model = learner.model.model
    return nn.ModuleList([model.multi_modal_projector, model.language_model, learner.wrong, learner.alike])


def export(model: LlavaForConditionalGeneration, directory: Path = VLM_DIR) -> None:
    """Save in half precision; the configuration asks transformers to compute in single precision."""
    model.half().save_pretrained(directory)
    make_processor(make_tokenizer()).save_pretrained(directory)
    for config in (model.config, model.config.text_config, model.config.vision_config):
        config.dtype = torch.float32
    model.config.save_pretrained(directory)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="+", choices=("sight", *SPEECH, "export"))
    parser.add_argument("--runs", type=Path, default=RUNS, help="checkpoints, to resume from")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if "RANK" in os.environ:
        distributed.init_process_group("gloo")
    for name in ("sight", *SPEECH):
        if name in args.stages:
            trained(args.runs, name)
    if "export" in args.stages:
        export(trained(args.runs, list(SPEECH)[-1]).model)


if __name__ == "__main__":
    main()
