from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
import transformers
from typer.testing import CliRunner

from myna.cli import app
from myna.cli.convert import convert_model
from myna.errors import ConfigurationError, DiskFull, ModelFileError, UnsupportedParameter
from myna.formats import open_model
from myna.formats.written import replacing
from myna.models.adapted import AdaptedModel
from myna.models.families.pooling import read_pooling
from myna.settings import load_settings
from tests.encoders import write_encoder
from tests.models.vocabularies import TEXT, write_byte_level, write_sentencepiece
from tests.parity.models import build, expected_logits, save
from tests.parity.reference import relative_error
from tests.parity.runner import Runner
from tests.synthetic import write_model

IDS = [5, 9, 2, 77, 31, 5, 8, 120, 250, 3, 299, 41]


def convert(*arguments: object) -> None:
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def model() -> transformers.PreTrainedModel:
    return build("llama")


@pytest.fixture
def source(model: transformers.PreTrainedModel, tmp_path: Path) -> Path:
    path = save(model, tmp_path / "source")
    write_byte_level(path)
    return path


def logits(path: Path) -> object:
    loaded = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    return expected_logits(loaded.eval(), IDS)


def as_meta(model: transformers.PreTrainedModel, path: Path) -> None:
    """Meta's layout, in two files."""
    config, state = model.config, model.state_dict()
    path.mkdir()
    params = {"dim": config.hidden_size, "n_heads": config.num_attention_heads, "n_layers": config.num_hidden_layers}
    params |= {"n_kv_heads": config.num_key_value_heads, "head_dim": config.head_dim, "norm_eps": config.rms_norm_eps}
    (path / "params.json").write_text(json.dumps(params))
    write_byte_level(path)
    names = {
        "model.embed_tokens": ("tok_embeddings", 1), "model.norm": ("norm", None), "lm_head": ("output", 0),
        "input_layernorm": ("attention_norm", None), "post_attention_layernorm": ("ffn_norm", None),
        "self_attn.q_proj": ("attention.wq", 0), "self_attn.k_proj": ("attention.wk", 0),
        "self_attn.v_proj": ("attention.wv", 0), "self_attn.o_proj": ("attention.wo", 1),
        "mlp.gate_proj": ("feed_forward.w1", 0), "mlp.down_proj": ("feed_forward.w2", 1),
        "mlp.up_proj": ("feed_forward.w3", 0),
    }  # fmt: skip
    parts: tuple[dict[str, torch.Tensor], ...] = ({}, {})
    for name, value in state.items():
        place, layer = name.removesuffix(".weight"), ""
        if name.startswith("model.layers."):
            _, _, number, place = place.split(".", 3)
            layer = f"layers.{number}."
        known, axis = names[place]
        if known in ("attention.wq", "attention.wk"):
            heads = config.num_attention_heads if known.endswith("q") else config.num_key_value_heads
            value = value.view(heads, 2, -1, value.shape[1]).transpose(1, 2).reshape(value.shape)
        for part, piece in zip(parts, (value, value) if axis is None else value.chunk(2, axis), strict=True):
            part[f"{layer}{known}.weight"] = piece.clone()
    for number, part in enumerate(parts):
        torch.save(part, path / f"consolidated.{number:02}.pth")


def test_metas_layout_becomes_a_directory_that_transformers_reads(
    model: transformers.PreTrainedModel, tmp_path: Path
) -> None:
    as_meta(model, tmp_path / "meta")
    convert(tmp_path / "meta", tmp_path / "target")
    expected = expected_logits(model, IDS)
    assert relative_error(logits(tmp_path / "target"), expected) < 1e-6  # type: ignore[arg-type]
    assert relative_error(Runner(tmp_path / "meta").whole(IDS), expected) < 1e-5
    assert (tmp_path / "target" / "tokenizer.json").read_bytes() == (tmp_path / "meta" / "tokenizer.json").read_bytes()


def test_weights_can_be_written_with_fewer_bits(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "target", "--quant", "bf16")
    with closing(open_model(tmp_path / "target")) as file:
        assert {tensor.type for tensor in file.tensors.values()} == {"BF16"}
        assert file.metadata.string("dtype") == "bfloat16"
    assert relative_error(logits(tmp_path / "target"), logits(source)) < 0.02  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # peft's, of transformers
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_an_adapter_is_merged_as_peft_merges_it(tmp_path: Path, name: str) -> None:
    import peft

    model = build(name)
    source = save(model, tmp_path / "source")
    write_byte_level(source)
    targets = ["q_proj", "down_proj"] if name == "llama" else ["c_attn"]
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(r=3, lora_alpha=5, target_modules=targets, fan_in_fan_out=name == "gpt2")
    )
    for weight_name, weight in adapted.named_parameters():
        if "lora_B" in weight_name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(tmp_path / "adapter")
    convert(source, tmp_path / "target", "--adapter", tmp_path / "adapter")
    expected = expected_logits(adapted.merge_and_unload(), IDS)
    assert relative_error(logits(tmp_path / "target"), expected) < 1e-5  # type: ignore[arg-type]


def test_an_adapter_is_not_merged_into_a_gguf_file(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.gguf", layers=1)
    with (
        closing(open_model(path)) as file,
        pytest.raises(UnsupportedParameter, match="into a checkpoint directory only"),
    ):
        AdaptedModel(file, tmp_path)


def test_a_delta_is_added(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "target", "--delta", source)
    with closing(open_model(source)) as one, closing(open_model(tmp_path / "target")) as two:
        tensor = one.tensors["lm_head.weight"]
        with one.read(tensor) as single, two.read(two.tensors["lm_head.weight"]) as doubled:
            before, after = (torch.frombuffer(bytearray(data), dtype=torch.float32) for data in (single, doubled))
    assert torch.equal(after, before * 2)


def test_what_a_directory_cannot_hold_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedParameter, match="holds f32, f16 or bf16 weights, not q8_0"):
        convert(source, tmp_path / "target", "--quant", "q8_0")
    k_quants = write_model(tmp_path / "model.gguf", layers=1, quant="Q6_K", width=256, mlp_width=256)
    with pytest.raises(UnsupportedParameter, match="is quantised as Q6_K, which cannot be converted"):
        convert(k_quants, tmp_path / "target")
    assert not (tmp_path / "target").exists()


BACK = {
    "llama",
    "llama-biased",
    "llama-linear",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
    "gpt2",
    "gptneox",
    "bloom",
    "phi3",
}


@pytest.mark.parametrize("name", sorted(BACK | {"smollm3", "gptneox-sequential"}))
def test_a_gguf_file_becomes_a_directory_that_transformers_reads(tmp_path: Path, name: str) -> None:
    model = build(name)
    source = save(model, tmp_path / "source")
    write_byte_level(source)
    convert(source, tmp_path / "model.gguf")
    convert(tmp_path / "model.gguf", tmp_path / "target")
    vocabulary = json.loads((tmp_path / "target" / "config.json").read_text())["vocab_size"]
    expected = expected_logits(model, IDS)[:, :vocabulary]
    assert relative_error(logits(tmp_path / "target"), expected) < 1e-5  # type: ignore[arg-type]


def test_the_tokenizer_of_a_gguf_file_is_written_too(source: Path, tmp_path: Path) -> None:
    for write in (write_byte_level, write_sentencepiece):
        write(source)
        convert(source, tmp_path / "model.gguf", "--force")
        target = tmp_path / write.__name__
        convert(tmp_path / "model.gguf", target)
        before, after = (transformers.AutoTokenizer.from_pretrained(path) for path in (source, target))
        for text in (*TEXT, "two  spaces </s> and <s>", "你好 🙂"):
            assert after(text).input_ids == before(text).input_ids
            assert after.decode(after(text).input_ids) == before.decode(before(text).input_ids)
        assert after.chat_template == before.chat_template


@pytest.mark.parametrize("name", ["mixtral", "llama3"])
def test_what_a_directory_cannot_say_is_refused(tmp_path: Path, name: str) -> None:
    source = save(build(name), tmp_path / "source")
    write_byte_level(source)
    convert(source, tmp_path / "model.gguf")
    with pytest.raises(ModelFileError, match=r"cannot (be written as a directory|say that attention)"):
        convert(tmp_path / "model.gguf", tmp_path / "target")


def test_an_existing_target_is_kept_unless_told_otherwise(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.gguf"
    target.write_text("precious")
    with pytest.raises(ConfigurationError, match=r"is there already\. Choose another name, or replace it with --force"):
        convert(source, target)
    assert target.read_text() == "precious"
    convert(source, target, "--force")
    assert target.read_bytes()[:4] == b"GGUF"
    with pytest.raises(ConfigurationError, match=r"is there already\. Choose another name\."):
        convert(source, source, "--force")


def test_two_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as one, replacing(path) as two:
        for letter in (b"1", b"2"):
            one.write(letter)
            two.write(letter * 2)
    assert path.read_bytes() == b"12"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DiskFull, match="needs 1,000,000,000,000,000 bytes"), replacing(tmp_path / "a", 10**15):
        pass
    with pytest.raises(DiskFull, match="was full before"), replacing(tmp_path / "a"):
        raise OSError(28, os.strerror(28))
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as file:
        file.write(bytes(1 // 0))
    assert not list(tmp_path.iterdir())


def test_an_encoder_keeps_how_its_vectors_are_pooled(tmp_path: Path) -> None:
    source = write_encoder(tmp_path / "source")
    (source / "modules.json").write_text(
        '[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_P"}]'
    )
    (source / "1_P").mkdir()
    (source / "1_P" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    convert(source, tmp_path / "target")
    for place in (source, tmp_path / "target"):
        assert read_pooling(place) == ("first", False)


def test_a_mixture_of_experts_does_not_become_a_directory_again(tmp_path: Path) -> None:
    write_byte_level(save(build("mixtral"), tmp_path / "source"))
    convert(tmp_path / "source", tmp_path / "model.gguf")
    with pytest.raises(ModelFileError, match="a mixture of experts cannot be written as a directory"):
        convert(tmp_path / "model.gguf", tmp_path / "target")


@pytest.mark.parametrize("target", ["model.gguf", "model"])
def test_ctrl_c_leaves_nothing_and_says_so(
    source: Path, target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(output: BinaryIO, *_: object) -> None:
        output.write(b"half of it")
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("myna.cli.convert.write_gguf", write)
    monkeypatch.setattr("myna.cli.convert.write_safetensors", write)
    place = source.with_name("out")
    place.mkdir()
    with pytest.raises(KeyboardInterrupt):
        convert_model(load_settings(), str(source), place / target, quant=None, delta=None, adapter=None, force=False)
    assert capsys.readouterr().err == f"Stopped; nothing was written to {place / target}.\n"
    assert not list(place.iterdir())
