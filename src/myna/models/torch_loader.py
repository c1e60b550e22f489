"""A Hugging Face checkpoint of any family -> a model that PyTorch runs (extra ``myna[torch]``).

No code of the checkpoint's own is ever run, and weights that could hold code are not unpickled.
"""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from myna import hardware
from myna.errors import ConfigurationError, ModelFileError, ModelTooLarge
from myna.formats import ModelFile, open_model
from myna.formats.open import ADAPTER
from myna.models.dialects import Dialect
from myna.models.dialects.load import named_dialect
from myna.models.loader import Kind, load_language, title_of
from myna.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    from myna.models.torch_executor import TorchExecutor
    from myna.settings import Quantisation

INSTALL = 'Install the extra that it needs: pip install "myna[torch]"'

CONTEXT_FIELDS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length")
"""What configurations call the longest sequence."""

UNBOUNDED_CONTEXT = 32768
"""For models that have none, being recurrent."""


@dataclass(frozen=True, slots=True)
class TorchModel:
    """A model in memory; the fields mean what they mean in `myna.models.loader.LoadedModel`."""

    path: Path
    title: str
    architecture: str
    tokenizer: Tokenizer
    dialect: Dialect
    executor: TorchExecutor
    parameters: int
    weight_bytes: int
    bytes_per_token: int
    quantisation: str
    context: int
    instruction_set: str
    threads: int
    free_memory: int
    """Bytes on the device that are left for the cache."""

    def dialect_for(self, name: str | None) -> Dialect:
        """See `myna.models.loader.LoadedModel.dialect_for`."""
        return self.dialect if name is None else named_dialect(name, self.tokenizer)

    @property
    def kind(self) -> Kind:
        """See `myna.models.loader.LoadedModel.kind`."""
        return "decoder"

    @property
    def embedding_width(self) -> int:
        """See `myna.models.loader.LoadedModel.embedding_width`."""
        return 0


def load_torch_model(
    path: str | Path, *, quant: Quantisation = "auto", threads: int = 0, context: int = 0
) -> TorchModel:
    """Load a checkpoint onto the GPU if PyTorch finds one, else for the processor.

    Args:
        path: a directory with config.json, weights and a tokenizer.
        quant: bf16 or f32; ``auto`` means bf16 on a GPU and f32 on a processor.
        threads: of PyTorch on a processor; 0 means one a physical core.
        context: longest sequence in tokens; 0 means the model's own.

    Raises:
        ConfigurationError: PyTorch is not installed, or the model cannot be run in this way.
        ModelFileError: the checkpoint is missing, incomplete, corrupt or of a kind that Transformers does not know.
        ModelTooLarge: the weights do not fit into the memory that is free.
    """
    with closing(open_model(path)) as file:
        if file.kind != "huggingface":
            raise ConfigurationError(
                f"{file.path.name} is no Hugging Face checkpoint; the transformers backend runs nothing else.",
                param="backend",
            )
        torch, transformers = import_torch()
        threads = threads or hardware.usable_cores()
        torch.set_num_threads(threads)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = choose_dtype(torch, device.type, quant)
        tokenizer, dialect = load_language(file)
        title = title_of(file)
        check_memory(file, dtype.itemsize, free_memory(torch, device))
        config = load_config(transformers, file.path)
        model = load_weights(torch, transformers, file, config, dtype).to(device).eval()
    text = config.get_text_config()
    rows = model.get_input_embeddings().weight.shape[0]
    if tokenizer.vocab_size > rows:
        raise ModelFileError(
            file.path, f"its vocabulary has {tokenizer.vocab_size} tokens, but its embedding only {rows}"
        )
    from myna.models.torch_executor import TorchExecutor

    weight_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    return TorchModel(
        path=file.path,
        title=title,
        architecture=config.model_type,
        tokenizer=tokenizer,
        dialect=dialect,
        executor=TorchExecutor(model, tokenizer.vocab_size, cache_bytes(text, dtype.itemsize)),
        parameters=sum(weight.numel() for weight in model.parameters()),
        weight_bytes=weight_bytes,
        bytes_per_token=weight_bytes,
        quantisation={2: "bf16", 4: "f32"}[dtype.itemsize],
        context=choose_context(file.path, text, context),
        instruction_set=f"PyTorch {device.type}",
        threads=threads,
        free_memory=free_memory(torch, device),
    )


def import_torch() -> tuple[Any, Any]:
    """PyTorch and Transformers, told to be quiet. Raises ConfigurationError saying how to install them."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ConfigurationError(
            f"This model is of a family that PyTorch runs here, and {error.name or 'it'} is missing. {INSTALL}",
            param="backend",
        ) from error
    say: Any = transformers.logging
    say.set_verbosity_error()
    say.disable_progress_bar()
    return torch, transformers


def choose_dtype(torch: ModuleType, device: str, quant: Quantisation) -> Any:
    """Resolve ``auto``. Raises ConfigurationError for a format that PyTorch is not asked to pack."""
    formats = {"auto": "bf16" if device == "cuda" else "f32", "bf16": "bf16", "f32": "f32"}
    if quant not in formats:
        raise ConfigurationError(
            f"The transformers backend keeps weights as bf16 or f32, not as {quant}. Use --quant bf16.", param="quant"
        )
    return {"bf16": torch.bfloat16, "f32": torch.float32}[formats[quant]]


def free_memory(torch: ModuleType, device: Any) -> int:
    """Bytes that are free where the model is to lie."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else hardware.available_memory()


def check_memory(file: ModelFile, itemsize: int, available: int) -> None:
    """Raise ModelTooLarge before anything is loaded when the weights exceed ``available`` bytes."""
    needed = sum(tensor.elements for tensor in file.tensors.values()) * itemsize
    if needed > available:
        raise ModelTooLarge(
            f"{file.path.name} needs {needed / 2**20:,.0f} MiB of memory for its weights, "
            f"but {available / 2**20:,.0f} MiB are free. Choose a smaller model"
            f"{' or load it with --quant bf16' if itemsize > 2 and needed // 2 <= available else ''}."
        )


def load_config(transformers: ModuleType, path: Path) -> Any:
    """The configuration. Raises ModelFileError for one that Transformers does not know without code of its own."""
    if (path / ADAPTER).is_file():  # by whose word Transformers would load other weights than those asked for
        raise ModelFileError(path, f"an adapter lies beside its weights; move {ADAPTER} away")
    try:
        config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        # A configuration may name a repository of compiled kernels, which would be fetched and run.
        config._attn_implementation = config._experts_implementation = None
        return config
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(path, f"Transformers cannot read its configuration ({first_line(error)})") from error


def load_weights(torch: ModuleType, transformers: ModuleType, file: ModelFile, config: Any, dtype: Any) -> Any:
    """The model with its weights, all of them and all finite. Raises ModelFileError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, loading = transformers.AutoModelForCausalLM.from_pretrained(
                file.path,
                config=config,
                dtype=dtype,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except (ValueError, OSError, KeyError, TypeError, RuntimeError, ImportError) as error:
        raise ModelFileError(file.path, f"Transformers cannot load it ({first_line(error)})") from error
    if loading["missing_keys"]:  # which Transformers would fill with chance
        raise ModelFileError(file.path, f"tensor {min(loading['missing_keys'])!r} is missing")
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise ModelFileError(file.path, f"tensor {name!r} holds values that are not finite")
    return model


def cache_bytes(config: Any, itemsize: int) -> int:
    """Bytes that a token takes of the cache: keys and values of every layer, as most models have them."""
    heads = getattr(config, "num_attention_heads", None) or 1
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(2 * config.num_hidden_layers * kv_heads * head_dim * itemsize)


def choose_context(path: Path, config: Any, wanted: int) -> int:
    """Resolve 0. Raises ConfigurationError when ``wanted`` is longer than what the model was made for."""
    stated = [getattr(config, name, None) for name in CONTEXT_FIELDS]
    longest = next((int(value) for value in stated if value), UNBOUNDED_CONTEXT)
    if wanted > longest:
        raise ConfigurationError(
            f"context = {wanted} is more than {path.name} was made for; it can hold {longest} tokens.", param="context"
        )
    return wanted or longest


def first_line(error: Exception) -> str:
    """The beginning of what a library says, which may be pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
