from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myna import _native, hardware
from myna.chat import Message
from myna.errors import ConfigurationError, ModelFileError, ModelTooLarge
from myna.formats import GGUFFile
from myna.models.loader import load_model
from tests.formats.builder import u64
from tests.parity.reference import native_logits
from tests.synthetic import write_model


def test_a_loaded_model_is_ready_and_says_what_it_is(default_model: Path) -> None:
    model = load_model(default_model)
    assert (model.parameters, model.context, model.quantisation) == (134_515_008, 8192, "w4+w8")
    assert model.weight_bytes == pytest.approx(96_576_768, rel=0.01)
    assert model.bytes_per_token == pytest.approx(model.weight_bytes, rel=0.01)
    assert model.threads == hardware.usable_cores()
    assert model.instruction_set == _native.instruction_sets()[0]
    prompt = model.dialect.encode([Message.of("user", "Name the capital city of France.")])
    for _ in range(8):
        prompt.append(int(native_logits(model, prompt)[-1].argmax()))
    assert "Paris" in model.tokenizer.decode(prompt)


def test_loading_leaves_the_file_out_of_memory(default_model: Path) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    model = load_model(default_model)
    # The packed weights and the vocabulary, not the mapped file as well.
    assert process.memory_info().rss - before < model.weight_bytes + 80 * 2**20


@pytest.mark.parametrize("instruction_set", _native.instruction_sets())
def test_every_instruction_set_of_this_processor_can_be_asked_for(tiny_model: Path, instruction_set: str) -> None:
    model = load_model(tiny_model, instruction_set=instruction_set, threads=1)  # type: ignore[arg-type]
    assert (model.instruction_set, model.threads) == (instruction_set, 1)
    assert np.isfinite(native_logits(model, [5, 6, 7])).all()


def test_an_instruction_set_that_is_not_there_is_refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "instruction_sets", lambda: ["generic"])
    with pytest.raises(ConfigurationError, match="cannot run the instruction set avx2; it can run generic"):
        load_model(tiny_model, instruction_set="avx2")


def test_the_context_can_be_shortened_but_not_stretched(tiny_model: Path) -> None:
    assert load_model(tiny_model, context=100).context == 100
    with pytest.raises(ConfigurationError, match=r"context = 513 .* it can hold 512 tokens"):
        load_model(tiny_model, context=513)


def test_a_model_without_room_is_refused_before_anything_is_packed(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "available_memory", lambda: 1000)
    with pytest.raises(ModelTooLarge):
        load_model(tiny_model)


def test_a_vocabulary_of_another_size_than_the_embedding_is_refused(tmp_path: Path) -> None:
    keys = {
        "tokenizer.ggml.tokens": ["a", "b", "c", "aa"],
        "tokenizer.ggml.token_type": [1, 3, 3, 1],
        "tokenizer.ggml.merges": ["a a"],
    }
    path = write_model(tmp_path / "model.gguf", vocab_size=384, metadata=keys)
    with pytest.raises(ModelFileError, match="its vocabulary has 4 tokens, its embedding 384"):
        load_model(path)


@pytest.mark.parametrize(
    ("stated", "shown"),
    [("Bird\n of\tprey \x1b[31m", "Bird of prey [31m"), ("", "tiny"), ("x" * 300, "x" * 100), (7, "tiny")],
)
def test_the_title_is_one_short_printable_line(tmp_path: Path, stated: str | int, shown: str) -> None:
    path = write_model(tmp_path / "tiny.gguf", layers=1, metadata={"general.name": stated})
    assert load_model(path).title == shown


def test_a_tensor_that_holds_infinities_is_named(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", layers=1)
    with GGUFFile(path) as file:
        offset = file.tensors["blk.0.attn_v.weight"].offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = np.float32(np.inf).tobytes()
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"tensor 'blk\.0\.attn_v\.weight' cannot be packed"):
        load_model(path)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shape = {"layers": 1, "width": 32, "heads": 2, "kv_heads": 1, "mlp_width": 32, "vocab_size": 300}
    return write_model(tmp_path_factory.mktemp("models") / "smallest.gguf", **shape)  # type: ignore[arg-type]


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_model_loads_or_is_refused(smallest: Path, data: st.DataObject) -> None:
    content = bytearray(smallest.read_bytes())
    header = content.find(b"token_embd.weight") + 1500
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, header))
        patch = data.draw(st.one_of(st.binary(min_size=1, max_size=4), st.integers(0, 2**64 - 1).map(u64)))
        content[position : position + len(patch)] = patch
    damaged = smallest.with_name("damaged.gguf")
    damaged.write_bytes(content)
    try:
        model = load_model(damaged, threads=1)
    except ModelFileError:
        return
    model.dialect.close()


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"nowhere\.gguf cannot be used as a model: there is no such file"):
        load_model(tmp_path / "nowhere.gguf")
