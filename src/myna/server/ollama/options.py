"""Ollama's ``options``: how the next token is chosen."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from myna.engine.request import SamplingParams
from myna.errors import UnsupportedParameter
from myna.hub import catalog
from myna.server.errors import from_validation
from myna.server.openai.texts import stop_strings

OFF = {"mirostat": 0, "tfs_z": 1, "typical_p": 1}
"""Ways to choose that are not built; the values that turn them off are accepted."""


class Options(BaseModel):
    """The options that change an answer. How a model is loaded, such as ``num_ctx``, is the server's to say.

    The defaults are Ollama's, but for temperature and top_p of models of which the catalog knows better.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True)

    temperature: float = 0.8
    top_p: float = 0.9
    top_k: int = 40
    min_p: float = 0.0
    repeat_penalty: float = 1.1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = -1
    num_predict: int = -1
    stop: list[str] = []


def sampling(model: str, options: dict[str, Any] | None, logprobs: int | None = None) -> SamplingParams:
    """The engine's parameters for a model; ``options`` as they were sent.

    Raises:
        InvalidParameter: an option is malformed; those out of range are found by the engine.
        UnsupportedParameter: an option asks for a way to choose that is not available here.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    for name, off in OFF.items():
        if given.get(name, off) != off:
            raise UnsupportedParameter(f"The option {name} is not supported; leave it out.", param=f"options.{name}")
    entry = catalog.find(model)
    advised = {"temperature": entry.sampling.temperature, "top_p": entry.sampling.top_p} if entry else {}
    try:
        read = Options.model_validate(advised | given)
    except ValidationError as error:
        raise from_validation(error.errors(include_url=False)) from None
    return SamplingParams(
        max_tokens=read.num_predict if read.num_predict > 0 else None,
        temperature=read.temperature,
        top_p=read.top_p,
        top_k=max(read.top_k, 0),
        min_p=read.min_p,
        repetition_penalty=read.repeat_penalty,
        presence_penalty=read.presence_penalty,
        frequency_penalty=read.frequency_penalty,
        seed=None if read.seed < 0 else read.seed % (1 << 64),
        stop=stop_strings(read.stop, "options.stop"),
        logprobs=logprobs,
    )
