"""From options to a model in memory and what runs it: Myna's own kernels or PyTorch, a decoder or an encoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from myna import hardware
from myna.engine.embedder import Embedder
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.engine import Engine
from myna.engine.model import Additions, CacheTraits
from myna.engine.options import EngineOptions
from myna.engine.request import Event, GenerationRequest
from myna.errors import UnsupportedParameter
from myna.models.adapters import load_adapter
from myna.models.config import EncoderConfig, ModelConfig
from myna.models.families import FAMILIES
from myna.models.loader import LoadedModel, load_model

if TYPE_CHECKING:
    from myna.models.torch_loader import TorchModel  # which needs nothing of PyTorch before it loads a model

MAX_CONFIG = 1 << 20
"""Bytes of a config.json that are looked at to learn the family."""


ServedModel: TypeAlias = "LoadedModel | TorchModel"


class Work(Protocol):
    """A request that is ready to be added to its engine."""

    @property
    def id(self) -> str: ...

    @property
    def channel(self) -> int: ...


class Steps(Protocol):
    """What a service steps: an `Engine` or an `Embedder`, which see."""

    @property
    def is_idle(self) -> bool: ...

    @property
    def limit(self) -> int: ...

    @property
    def cache_tokens(self) -> int: ...

    @property
    def kv_bytes_per_token(self) -> int: ...

    def prepare(self, request: GenerationRequest | EmbeddingRequest, channel: int) -> Work: ...

    @property
    def add(self) -> Callable[[Any], None]:
        """Takes what `prepare` gave."""

    def cancel(self, channel: int, request_id: str) -> None: ...

    def cancel_channel(self, channel: int) -> None: ...

    @property
    def step(self) -> Callable[[], Mapping[int, Items[Event | Embedded]]]: ...

    def statistics(self) -> dict[str, float]: ...


def start(options: EngineOptions) -> tuple[ServedModel, Steps]:
    """Load a model and allocate its cache.

    Raises:
        MynaError: the model cannot be loaded; which leaf says why.
    """
    if choose_backend(Path(options.path), options.backend) == "transformers":
        from myna.models.torch_loader import load_torch_model

        foreign = load_torch_model(
            options.path, quant=cast(Any, options.quant), threads=options.threads, context=options.context
        )
        traits = CacheTraits(shares_blocks=False, chunks_prompts=foreign.executor.chunks_prompts)
        return foreign, Engine(foreign, options, foreign.free_memory, traits)
    model = load_model(
        options.path,
        quant=cast(Any, options.quant),
        threads=options.threads,
        instruction_set=cast(Any, options.instruction_set),
        context=options.context,
        packed_dir=Path(options.packed_dir) if options.packed_dir else None,
    )
    memory = hardware.available_memory()
    if isinstance(model.config, EncoderConfig):
        return model, Embedder(model, model.config, options, memory)
    return model, Engine(model, options, memory)


def taking_adapters(engine: Steps) -> Engine:
    """The same engine. Raises UnsupportedParameter for one that makes embeddings."""
    if not isinstance(engine, Engine):
        raise UnsupportedParameter("Models that make embeddings take no adapters.", param="adapter")
    return engine


def read_adapter(model: ServedModel, path: Path) -> Additions:
    """What the LoRA adapter in a directory changes in a model.

    Raises:
        ModelFileError: it is missing, corrupt or does not fit.
        UnsupportedParameter: this adapter or this model is of a kind that is not supported, and which.
    """
    if not isinstance(model, LoadedModel) or not isinstance(model.config, ModelConfig):
        raise UnsupportedParameter(
            f"{model.title} takes no adapters: they are for models that write text with Myna's own kernels.",
            param="adapter",
        )
    return load_adapter(path, model.config, "huggingface" if model.path.is_dir() else "gguf")


def choose_backend(path: Path, wanted: str) -> Literal["native", "transformers"]:
    """Resolve ``auto``: PyTorch for a Hugging Face checkpoint of a family that Myna has no declaration of."""
    if wanted != "auto":
        return cast("Literal['native', 'transformers']", wanted)
    try:
        with (path / "config.json").open("rb") as file:
            family = json.loads(file.read(MAX_CONFIG)).get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError):
        return "native"  # which says what is wrong with it
    known = family in FAMILIES and FAMILIES[family].huggingface is not None
    return "native" if known or not isinstance(family, str) else "transformers"
