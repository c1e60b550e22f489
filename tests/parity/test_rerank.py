"""Scores of query and document against Transformers' heads for sequence classification, on the same weights."""

from __future__ import annotations

from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.initialization import no_init_weights

from myna.engine.embedder import Embedder
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.options import EngineOptions
from myna.errors import ModelFileError
from myna.formats import open_model
from myna.models.config import EncoderConfig
from myna.models.convert.gguf import plan_gguf
from myna.models.describe import describe_model
from myna.models.families import layout_of
from myna.models.loader import load_model
from tests.parity.encoders import SHAPE, write_gguf
from tests.parity.models import randomise
from tests.parity.test_encoders import encode
from tests.vocabularies import write_vocabulary

QUERY = "What is a model, and who may copy it?"
DOCUMENTS = ("A model is what says nothing.", "Copies of the work, with or without changes.", "[SEP] naïve café")
ROBERTA = {"type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5, "num_labels": 1}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("Bert", "bert", {"num_labels": 1}),
    "bert without segments": ("Bert", "bert", {"num_labels": 1, "type_vocab_size": 1}),
    "xlm-roberta": ("XLMRoberta", "xlm-roberta", ROBERTA),
}


def build(name: str) -> PreTrainedModel:
    torch.set_num_threads(1)
    kind, vocabulary, more = CASES[name]
    size = 700 if vocabulary != "bert" else 400
    config = getattr(transformers, f"{kind}Config")(**SHAPE | {"vocab_size": size, "num_hidden_layers": 2} | more)
    with no_init_weights():
        model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    generator = torch.Generator().manual_seed(5)
    for weight_name, weight in model.named_parameters():
        randomise(weight_name, weight, generator, around=1.0)
    return model.float().eval()


@lru_cache(maxsize=4)
def saved(directory: Path, name: str) -> tuple[PreTrainedModel, Path]:
    path = write_vocabulary(directory / name.replace(" ", "-"), CASES[name][1])
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    model = build(name)
    model.resize_token_embeddings(len(tokenizer))
    for parameter in model.base_model.embeddings.word_embeddings.parameters():
        randomise("word_embeddings.weight", parameter, torch.Generator().manual_seed(6), around=1.0)
    model.save_pretrained(path)
    return model, path


def expected(model: PreTrainedModel, path: Path) -> list[float]:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path, split_special_tokens=True)  # texts are never control
    scores = []
    for document in DOCUMENTS:
        encoded = tokenizer(QUERY, document, return_tensors="pt", return_token_type_ids=True)
        if model.config.type_vocab_size == 1:
            encoded["token_type_ids"] = torch.zeros_like(encoded["token_type_ids"])
        with torch.inference_mode():
            scores.append(torch.sigmoid(model(**encoded).logits)[0, 0].item())
    return scores


def scores(path: Path) -> list[float]:
    model = load_model(path, quant="f32", threads=1)
    assert isinstance(model.config, EncoderConfig)
    assert model.config.ranks
    engine = Embedder(model, model.config, EngineOptions(name="tiny", path=str(path)), 1 << 30)
    engine.add(engine.prepare(EmbeddingRequest("a", DOCUMENTS, query=QUERY)))
    [event] = engine.step()[0]
    assert isinstance(event, Embedded)
    return np.frombuffer(event.vectors, "<f4").tolist()


@pytest.mark.parametrize("name", CASES)
def test_heads_for_one_label_agree(tmp_path: Path, name: str) -> None:
    model, path = saved(tmp_path, name)
    theirs = expected(model, path)
    assert scores(path) == pytest.approx(theirs, abs=1e-5)
    assert max(theirs) - min(theirs) > 1e-3
    assert describe_model(path).kind == "reranker"


def test_a_gguf_file_has_a_roberta_head(tmp_path: Path) -> None:
    model, path = saved(tmp_path, "xlm-roberta")
    file = write_gguf(model, tmp_path / "rank.gguf", {"bert.pooling_type": 4})
    with closing(open_model(file)) as opened:
        config = layout_of(opened).configure(opened)
    assert isinstance(config, EncoderConfig)
    assert (config.ranks, config.segments, config.pooling) == (True, 1, "first")
    texts = [[0, 5, 9, 2, 2, 31, 7, 2], [0, 8, 2, 2, 4, 2]]
    with torch.inference_mode():
        theirs = [model(torch.tensor([ids])).logits.item() for ids in texts]
    # Every token's vector is scored here; the first's is the text's.
    assert [rows[0, 0] for rows in encode(file, texts)] == pytest.approx(theirs, abs=1e-4)
    with pytest.raises(ModelFileError, match="scores documents cannot be converted"), closing(open_model(path)) as it:
        plan_gguf(it)


def test_heads_of_several_classes_and_gguf_files_without_a_head_are_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(**SHAPE | {"num_hidden_layers": 1, "num_labels": 3})
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "three")
    with closing(open_model(tmp_path / "three")) as file, pytest.raises(ModelFileError, match="into 3 classes"):
        layout_of(file).configure(file)
    bare = transformers.BertModel(config, add_pooling_layer=False)
    gguf = write_gguf(bare, tmp_path / "bare.gguf", {"bert.pooling_type": 4})
    with closing(open_model(gguf)) as file, pytest.raises(ModelFileError, match="pooling_type 4 without the tensor"):
        layout_of(file).configure(file)
