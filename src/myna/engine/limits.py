"""What a request may ask for: ranges of the sampling parameters, and the refusal that names what was wrong."""

from __future__ import annotations

import math

from myna.engine.request import SamplingParams
from myna.errors import InvalidParameter

MAX_LOGPROBS = 20
MAX_STOP_STRINGS = 16
MAX_STOP_LENGTH = 1024

_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "top_k": (0, 2**31 - 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "repetition_penalty": (0.01, 100),
    "max_tokens": (0, 2**31 - 1),
    "seed": (-(2**63), 2**64 - 1),
    "logprobs": (0, MAX_LOGPROBS),
    "prompt_logprobs": (0, MAX_LOGPROBS),
    "prompt_logprobs_last": (1, 2**31 - 1),
}
_OPTIONAL = {"max_tokens", "seed", "logprobs", "prompt_logprobs", "prompt_logprobs_last"}
_INTEGERS = _OPTIONAL | {"top_k"}


def check_params(params: SamplingParams, vocab_size: int) -> None:
    """Refuse parameters that are malformed or out of range.

    Raises:
        InvalidParameter: naming the field, its value and what is allowed.
    """
    for name, (low, high) in _RANGES.items():
        value = getattr(params, name)
        if value is None and name in _OPTIONAL:
            continue
        kind = "an integer" if name in _INTEGERS else "a number"
        well_formed = isinstance(value, int if name in _INTEGERS else (int, float)) and not isinstance(value, bool)
        if not well_formed or not math.isfinite(value) or not low <= value <= high:
            raise InvalidParameter(f"{name} is {value!r}; it must be {kind} from {low} to {high}.", param=name)
    _check_stop(params.stop)
    _check_bias(params.logit_bias, vocab_size)


def _check_stop(stop: tuple[str, ...]) -> None:
    if len(stop) > MAX_STOP_STRINGS:
        raise InvalidParameter(f"stop has {len(stop)} strings; at most {MAX_STOP_STRINGS} are allowed.", param="stop")
    for text in stop:
        if not 1 <= len(text) <= MAX_STOP_LENGTH:
            raise InvalidParameter(
                f"A stop string of {len(text)} characters was given; it must have 1 to {MAX_STOP_LENGTH}.", param="stop"
            )


def _check_bias(bias: dict[int, float], vocab_size: int) -> None:
    for token_id, value in bias.items():
        if not 0 <= token_id < vocab_size:
            raise InvalidParameter(
                f"logit_bias names token {token_id}; this model has the tokens 0 to {vocab_size - 1}.",
                param="logit_bias",
            )
        if not -100 <= value <= 100:
            raise InvalidParameter(
                f"logit_bias of token {token_id} is {value!r}; it must be a number from -100 to 100.",
                param="logit_bias",
            )
