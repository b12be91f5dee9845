"""The answers of the three APIs, as far as they are read; other keys are left alone.

A number that is no probability fails here, so that nothing behind this file has to ask.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

Probability = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=0)]


class Usage(BaseModel):
    """Tokens, by either of the two pairs of names in use."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None

    @property
    def tokens(self) -> int:
        """Return how many it took, in and out."""
        return (self.input_tokens or self.prompt_tokens or 0) + (
            self.output_tokens or self.completion_tokens or 0
        )


class SystemOneAnswer(BaseModel):
    type: str
    noul: Probability | None = None
    probabilities: dict[str, Probability] | None = None
    x_label_mass: Probability | None = None  #: SGLang: what the whole vocabulary gave to the options


class Diagnostics(BaseModel):
    label_mass: Probability | None = None


class SystemOneReply(BaseModel):
    answers: dict[str, SystemOneAnswer]
    diagnostics: dict[str, Diagnostics] | None = None  #: vLLM
    usage: Usage | None = None


class OptionProbability(BaseModel):
    value: str | bool | int
    probability: Probability


class DecisionAnswer(BaseModel):
    type: str
    name: str | None = None
    probability: Probability | None = None
    probabilities: list[OptionProbability] | None = None


class DecisionsReply(BaseModel):
    answers: list[DecisionAnswer]
    usage: Usage | None = None


class TokenLogprob(BaseModel):
    token: str
    logprob: Annotated[float, Field(le=1e-6, allow_inf_nan=False)]


class FirstToken(TokenLogprob):
    top_logprobs: list[TokenLogprob] | None = None


class Logprobs(BaseModel):
    content: list[FirstToken] | None = None


class Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class ChatChoice(BaseModel):
    message: Message
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class ChatReply(BaseModel):
    choices: list[ChatChoice]
    usage: Usage | None = None
