"""A model file -> a model that is ready to run."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from myna import _native, hardware
from myna.errors import ConfigurationError, ModelFileError
from myna.formats import ModelFile, open_model
from myna.models.config import AnyConfig, EncoderConfig
from myna.models.decoder import build_decoder
from myna.models.dialects import Dialect
from myna.models.dialects.load import load_dialect, named_dialect
from myna.models.encoder import build_encoder
from myna.models.families import Layout, layout_of
from myna.models.packed_cache import PackedCache, cache_key, is_worth_keeping
from myna.models.packing import (
    Packing,
    check_memory,
    describe_quantisation,
    ease,
    plan_packing,
    weight_bytes,
)
from myna.models.program import Program
from myna.models.tokenizer import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    # pydantic would cost the engine process a quarter of a second of its start.
    from myna.settings import InstructionSet, Quantisation

_log = logging.getLogger(__name__)

Kind = Literal["decoder", "encoder", "reranker"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory. Sizes are bytes unless a name says otherwise; ``context`` is in tokens.

    ``executor`` is sealed; its KV cache is not allocated yet. ``bytes_per_token`` is what decoding one token reads
    of the weights. ``quantisation`` names the packed formats, ``instruction_set`` and ``threads`` what was chosen.
    """

    path: Path
    title: str
    config: AnyConfig
    tokenizer: Tokenizer
    dialect: Dialect
    executor: _native.Executor
    parameters: int
    weight_bytes: int
    bytes_per_token: int
    quantisation: str
    context: int
    instruction_set: str
    threads: int

    @property
    def architecture(self) -> str:
        """What its file calls its family."""
        return self.config.architecture

    @property
    def kind(self) -> Kind:
        """See `kind_of`."""
        return kind_of(self.config)

    @property
    def embedding_width(self) -> int:
        """Numbers of an embedding; 0 for a model that makes none."""
        return self.config.width if isinstance(self.config, EncoderConfig) and not self.config.ranks else 0

    def dialect_for(self, name: str | None) -> Dialect:
        """The dialect of this name, or the model's own. Raises InvalidParameter when there is no such dialect."""
        return self.dialect if name is None else named_dialect(name, self.tokenizer)


def load_model(
    path: str | Path,
    *,
    quant: Quantisation = "auto",
    threads: int = 0,
    instruction_set: InstructionSet = "auto",
    context: int = 0,
    packed_dir: Path | None = None,
) -> LoadedModel:
    """Load a model file.

    Args:
        path: whatever `open_model` opens.
        quant: packed format of the matrices; ``auto`` keeps the file's own precision where memory allows it.
        threads: of the kernels; 0 means one a physical core.
        instruction_set: of the kernels; ``auto`` means the best that this processor has.
        context: longest sequence in tokens; 0 means the model's own.
        packed_dir: where weights that had to be quantised are kept for the next time; None means nowhere.

    Raises:
        ModelFileError: the file is missing, truncated, corrupt, hostile or of a kind that is not supported.
        ModelTooLarge: the weights do not fit into the memory that is free.
        ConfigurationError: this processor lacks the instruction set, or the model the context.
    """
    threads = threads or hardware.usable_cores()
    chosen_set = choose_instruction_set(instruction_set)
    with (
        closing(open_model(path)) as file,
        # It takes as long as the weights take to pack, and both mostly leave Python's lock alone.
        ThreadPoolExecutor(1, thread_name_prefix="tokenizer") as beside,
    ):
        layout = layout_of(file)
        config = layout.configure(file)
        chosen_context = choose_context(file, config, context)
        pending = beside.submit(load_language, file)
        if file.kind == "huggingface":
            config = without_padding(config, pending.result()[0])
        program = build_program(file, config.within(chosen_context))
        plan = choose_plan(file, layout, program, config, quant)
        executor = _native.Executor(program.to_ops(), threads, chosen_set)
        if packed_dir is not None and is_worth_keeping(plan):
            pack_once(file, plan, executor, PackedCache(packed_dir))
        else:
            pack(file, plan, executor)
        tokenizer, dialect = pending.result()
        if tokenizer.vocab_size != config.vocab_size:
            raise ModelFileError(
                file.path,
                f"its vocabulary has {tokenizer.vocab_size} tokens, its embedding {config.vocab_size}",
            )
        return LoadedModel(
            path=file.path,
            title=title_of(file),
            config=config,
            tokenizer=tokenizer,
            dialect=dialect,
            executor=executor,
            parameters=sum(packing.weight.rows * packing.weight.columns for packing in plan),
            weight_bytes=executor.weight_bytes,
            bytes_per_token=executor.bytes_per_token,
            quantisation=describe_quantisation(plan),
            context=chosen_context,
            instruction_set=chosen_set,
            threads=threads,
        )


def kind_of(config: AnyConfig) -> Kind:
    """What a model makes: text, vectors, or scores of pairs of texts."""
    if isinstance(config, EncoderConfig):
        return "reranker" if config.ranks else "encoder"
    return "decoder"


def load_language(file: ModelFile) -> tuple[Tokenizer, Dialect]:
    """What turns conversations into tokens and back. Raises ModelFileError."""
    tokenizer = load_tokenizer(file)
    return tokenizer, load_dialect(file, tokenizer)


def without_padding(config: AnyConfig, tokenizer: Tokenizer) -> AnyConfig:
    """Checkpoints round their embeddings up; what is not a token must never be sampled, so it is not loaded."""
    return replace(config, vocab_size=min(config.vocab_size, tokenizer.vocab_size))


def choose_plan(
    file: ModelFile, layout: Layout, program: Program, config: AnyConfig, quant: Quantisation
) -> list[Packing]:
    """Resolve ``auto`` for the memory that is free: the file's own precision, or fewer bits, which is logged.

    Raises ModelFileError: see `plan_packing`. Raises ModelTooLarge when the weights do not fit.
    """
    available = hardware.available_memory()
    plan = plan_packing(file, layout, program, config, quant)
    if quant == "auto":
        plan, kept = ease(plan, available), plan
        if plan is not kept:
            _log.warning(
                "%s would need %d MiB for its weights in the file's own precision, and %d MiB are free: "
                "they are loaded as %s, which takes %d MiB.",
                file.path.name,
                weight_bytes(kept) >> 20,
                available >> 20,
                describe_quantisation(plan),
                weight_bytes(plan) >> 20,
            )
    check_memory(file, plan, available)
    return plan


def title_of(file: ModelFile) -> str:
    """The model's name for people: what the file says, in one line, else the file's or directory's own name."""
    own = unquote(file.path.stem if file.kind == "gguf" else file.path.name)  # fetched ones are named by the hub
    stated = file.metadata.get("general.name")
    words = stated.split() if isinstance(stated, str) else []
    return "".join(filter(str.isprintable, " ".join(words)))[:100] or own


def build_program(file: ModelFile, config: AnyConfig) -> Program:
    """The decoder or encoder of ``config``. Raises ModelFileError where the file's sizes contradict each other."""
    try:
        return build_encoder(config) if isinstance(config, EncoderConfig) else build_decoder(config)
    except ValueError as error:
        raise ModelFileError(file.path, f"its configuration contradicts itself ({error})") from error


def pack(file: ModelFile, plan: list[Packing], executor: _native.Executor) -> None:
    """Pack tensor by tensor, giving back the pages of each, and seal the executor.

    Raises ModelFileError naming a tensor whose values cannot be packed, such as one that holds infinities.
    """
    for packing in plan:
        weight, stored = packing.weight, packing.stored
        try:
            with stored.lend() as data:
                executor.set_weight(weight.name, data, stored.type, weight.rows, weight.columns, packing.target)
        except ValueError as error:
            raise ModelFileError(file.path, f"tensor {stored.name!r} cannot be packed ({error})") from error
    executor.seal()


def pack_once(file: ModelFile, plan: list[Packing], executor: _native.Executor, cache: PackedCache) -> None:
    """`pack`, or what it made the last time, mapped from disk. Raises as it does."""
    key = cache_key(file, plan)
    if cache.load(executor, key, plan):
        executor.seal()
        return
    pack(file, plan, executor)
    cache.store(executor, key, file, plan)


def choose_instruction_set(wanted: InstructionSet) -> str:
    """Resolve ``auto``. Raises ConfigurationError naming what this processor has when it lacks ``wanted``."""
    available = _native.instruction_sets()
    if wanted == "auto":
        return available[0]
    if wanted not in available:
        raise ConfigurationError(
            f"This processor cannot run the instruction set {wanted}; it can run {', '.join(available)}.",
            param="instruction_set",
        )
    return wanted


def choose_context(file: ModelFile, config: AnyConfig, wanted: int) -> int:
    """Resolve 0. Raises ConfigurationError when ``wanted`` is longer than what the model was made for."""
    if wanted > config.context:
        raise ConfigurationError(
            f"context = {wanted} is more than {file.path.name} was made for; it can hold {config.context} tokens.",
            param="context",
        )
    return wanted or config.context
