"""BERT and what is built like it: MiniLM, E5, BGE; on RoBERTa's plan, XLM-R and the multilingual E5.

Devlin et al. 2018 (https://arxiv.org/abs/1810.04805); Liu et al. 2019 (https://arxiv.org/abs/1907.11692).
Where every text is of the first token type, its row is added to the table of positions once and for all; models that
score a text for another one (cross-encoders) have the second text's tokens in a table of their own, with the second
type's row added. How a text's vectors become one is told by `myna.models.families.pooling`.
"""

from __future__ import annotations

from collections.abc import Mapping

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import Activation, AnyConfig, EncoderConfig, Pooling
from myna.models.families.base import Family, Layout
from myna.models.families.pooling import GGUF_POOLING, read_pooling
from myna.models.weights import Below, Chosen, Either, Rows, Source, Sum

ACTIVATIONS: dict[str, Activation] = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
"""What Hugging Face calls the activations."""

PADDING = 1
"""RoBERTa's padding token. Positions are counted from behind it: its table has two rows more than a text has tokens."""


RANK = 4
"""GGUF's ``pooling_type`` of models that score."""


def tells_segments(config: AnyConfig) -> bool:
    """Whether a second text's tokens are embedded otherwise than a first's."""
    return isinstance(config, EncoderConfig) and config.segments > 1


def with_biases(linears: Mapping[str, str], norms: Mapping[str, str]) -> dict[str, Source]:
    """Weights and biases of modules: by the Program's name, the file's name of each.

    Checkpoints that were TensorFlow's once call a norm's parts gamma and beta.
    """
    weights: dict[str, Source] = {}
    for name, module in linears.items():
        weights[name] = f"{module}.weight"
        weights[f"{name}.bias"] = f"{module}.bias"
    for name, module in norms.items():
        weights[name] = Either(f"{module}.gamma", f"{module}.gamma", f"{module}.weight")
        weights[f"{name}.bias"] = Either(f"{module}.beta", f"{module}.beta", f"{module}.bias")
    return weights


def huggingface_weights(first_position: int) -> dict[str, Source]:
    """Where Hugging Face's files keep the weights; the row of the table that the first position has."""
    positions = Rows("embeddings.position_embeddings.weight", first_position, lambda config: config.context)
    layer = "encoder.layer.{}"
    words = Rows("embeddings.word_embeddings.weight", 0, lambda config: config.vocab_size)
    first, second = (Rows("embeddings.token_type_embeddings.weight", kind, 1) for kind in range(2))
    tables: dict[str, Source] = {
        "embedding": Chosen(
            tells_segments, Below((Sum(words, first), Sum(words, second))), "embeddings.word_embeddings.weight"
        ),
        "position_embedding": Chosen(tells_segments, positions, Sum(positions, first)),
    }
    for part in ("weight", "bias"):
        bias = "" if part == "weight" else ".bias"
        # RoBERTa's head has both linears; BERT's first is the pooler.
        inner, outer = f"classifier.dense.{part}", f"classifier.out_proj.{part}"
        tables[f"head.hidden{bias}"] = Either(inner, inner, f"pooler.dense.{part}")
        tables[f"head.output{bias}"] = Either(outer, outer, f"classifier.{part}")
    return tables | with_biases(
        {
            "layers.{}.attention.q": f"{layer}.attention.self.query",
            "layers.{}.attention.k": f"{layer}.attention.self.key",
            "layers.{}.attention.v": f"{layer}.attention.self.value",
            "layers.{}.attention.output": f"{layer}.attention.output.dense",
            "layers.{}.mlp.up": f"{layer}.intermediate.dense",
            "layers.{}.mlp.down": f"{layer}.output.dense",
        },
        {
            "embedding_norm": "embeddings.LayerNorm",
            "layers.{}.attention_norm": f"{layer}.attention.output.LayerNorm",
            "layers.{}.mlp_norm": f"{layer}.output.LayerNorm",
        },
    )


GGUF_TABLES: dict[str, Source] = {
    "embedding": "token_embd.weight",
    "position_embedding": Sum(
        Rows("position_embd.weight", 0, lambda config: config.context), Rows("token_types.weight", 0, 1)
    ),
}
GGUF_WEIGHTS = GGUF_TABLES | with_biases(
    {
        "layers.{}.attention.q": "blk.{}.attn_q",
        "layers.{}.attention.k": "blk.{}.attn_k",
        "layers.{}.attention.v": "blk.{}.attn_v",
        "layers.{}.attention.output": "blk.{}.attn_output",
        "layers.{}.mlp.up": "blk.{}.ffn_up",
        "layers.{}.mlp.down": "blk.{}.ffn_down",
        "head.hidden": "cls",
        "head.output": "cls.output",
    },
    {
        "embedding_norm": "token_embd_norm",
        "layers.{}.attention_norm": "blk.{}.attn_output_norm",
        "layers.{}.mlp_norm": "blk.{}.layer_output_norm",
    },
)


def configure_bert(file: ModelFile) -> EncoderConfig:
    """A Hugging Face directory's configuration. Raises ModelFileError naming what is missing or not supported."""
    return _from_huggingface(file, first_position=0)


def configure_roberta(file: ModelFile) -> EncoderConfig:
    """The same where positions are counted from behind the padding token."""
    padding = file.metadata.integer("pad_token_id", PADDING)
    if padding != PADDING:
        raise ModelFileError(file.path, f"pad_token_id is {padding}, expected {PADDING}")
    return _from_huggingface(file, first_position=PADDING + 1)


def _from_huggingface(file: ModelFile, first_position: int) -> EncoderConfig:
    read = file.metadata
    if (positions := read.string("position_embedding_type", "absolute")) != "absolute":
        raise ModelFileError(file.path, f"position_embedding_type {positions!r} is not supported")
    if read.boolean("is_decoder", False):
        raise ModelFileError(file.path, "is_decoder is set: a BERT that generates is not supported")
    activation = read.string("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise ModelFileError(file.path, f"hidden_act {activation!r} is not supported; known: {', '.join(ACTIVATIONS)}")
    width, heads = _width_and_heads(file, "hidden_size", "num_attention_heads")
    rows = read.integer("max_position_embeddings", minimum=first_position + 1, maximum=2**20)
    ranks = _scores(file, "classifier.out_proj.weight", "classifier.weight")
    pooled: tuple[Pooling, bool] = ("first", False) if ranks else read_pooling(file.path)
    return EncoderConfig(
        architecture=read.string("model_type"),
        layers=read.integer("num_hidden_layers", minimum=1, maximum=1024),
        width=width,
        heads=heads,
        mlp_width=read.integer("intermediate_size", minimum=1, maximum=2**22),
        vocab_size=read.integer("vocab_size", minimum=1, maximum=2**24),
        context=rows - first_position,
        norm_epsilon=read.number("layer_norm_eps", 1e-12, minimum=1e-15, maximum=1.0),
        activation=ACTIVATIONS[activation],
        pooling=pooled[0],
        normalised=pooled[1],
        ranks=ranks,
        segments=min(2, read.integer("type_vocab_size", 2, minimum=1, maximum=2**10)) if ranks else 1,
    )


def _scores(file: ModelFile, *heads: str) -> bool:
    """Whether a file has a head with one output. Raises ModelFileError for one with more."""
    head = next((file.tensors[name] for name in heads if name in file.tensors), None)
    if head is not None and head.shape[0] != 1:
        raise ModelFileError(
            file.path, f"it sorts texts into {head.shape[0]} classes; supported are models that give one score"
        )
    return head is not None


def configure_gguf(file: ModelFile) -> EncoderConfig:
    """A GGUF file's configuration. Raises ModelFileError naming what is missing or not supported."""
    read = file.metadata
    if read.boolean("bert.attention.causal", False):
        raise ModelFileError(file.path, "bert.attention.causal is set: a BERT that generates is not supported")
    kind = read.integer("bert.pooling_type", 1)
    ranks = kind == RANK and _scores(file, "cls.output.weight")
    if kind not in GGUF_POOLING and not ranks:
        without = "without the tensor 'cls.output.weight' " if kind == RANK else ""
        raise ModelFileError(
            file.path,
            f"bert.pooling_type {kind} {without}is not supported; supported: {', '.join(map(str, GGUF_POOLING))} "
            f"and, with a head for scores, {RANK}",
        )
    for name in ("token_embd.weight", "position_embd.weight"):
        if name not in file.tensors:
            raise ModelFileError(file.path, f"tensor {name!r} is missing")
    width, heads = _width_and_heads(file, "bert.embedding_length", "bert.attention.head_count")
    rows = file.tensors["position_embd.weight"].shape[0]
    return EncoderConfig(
        architecture="bert",
        layers=read.integer("bert.block_count", minimum=1, maximum=1024),
        width=width,
        heads=heads,
        mlp_width=read.integer("bert.feed_forward_length", minimum=1, maximum=2**22),
        vocab_size=file.tensors["token_embd.weight"].shape[0],
        context=min(rows, read.integer("bert.context_length", rows, minimum=1)),
        norm_epsilon=read.number("bert.attention.layer_norm_epsilon", minimum=1e-15, maximum=1.0),
        activation="gelu",
        pooling="first" if ranks else GGUF_POOLING[kind],
        normalised=not ranks,
        ranks=ranks,
    )


def _width_and_heads(file: ModelFile, width_key: str, heads_key: str) -> tuple[int, int]:
    width = file.metadata.integer(width_key, minimum=1, maximum=2**20)
    heads = file.metadata.integer(heads_key, minimum=1, maximum=1024)
    if width % heads:
        raise ModelFileError(file.path, f"a width of {width} cannot be divided among {heads} attention heads")
    return width, heads


UNUSED = frozenset({"pooler.*", "cls.*", "lm_head.*", "embeddings.position_ids"})
"""Heads for other tasks, and a row of counted positions that old versions kept."""

BERT = Family(
    gguf=Layout(configure_gguf, GGUF_WEIGHTS, ignored=frozenset({"cls.*"})),
    huggingface=Layout(configure_bert, huggingface_weights(0), ignored=UNUSED, prefixes=("bert.",)),
)
ROBERTA = Family(
    huggingface=Layout(configure_roberta, huggingface_weights(PADDING + 1), ignored=UNUSED, prefixes=("roberta.",)),
)
