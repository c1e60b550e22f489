"""What Hugging Face's config.json says of a mixture of experts."""

from __future__ import annotations

from typing import Any

from myna.formats import ModelFile
from myna.models.config import ExpertsConfig
from myna.models.families.huggingface import EXPERTS, first_key


def read_experts(file: ModelFile, *, renormalise: bool, **quirks: Any) -> ExpertsConfig:
    """How many experts there are and how many each token goes to.

    Args:
        file: the model's directory.
        renormalise: whether the chosen ones' shares are a softmax over these alone.
        quirks: further fields of `ExpertsConfig`.

    Raises:
        ModelFileError: a number is missing or impossible.
    """
    count = file.metadata.integer(first_key(file, EXPERTS), minimum=1, maximum=1024)
    chosen = file.metadata.integer("num_experts_per_tok", minimum=1, maximum=count)
    return ExpertsConfig(count, chosen, renormalise, **quirks)
