from __future__ import annotations

from pathlib import Path

import pytest

from myna import _native
from myna.models.describe import describe_any, describe_model
from myna.models.description import UndeclaredDescription
from myna.models.loader import load_model
from tests.formats.checkpoints import safetensors, write_directory
from tests.models.vocabularies import write_byte_level
from tests.parity.models import build, save
from tests.synthetic import write_model


def test_the_default_model(default_model: Path) -> None:
    described = describe_model(default_model)
    assert (described.kind, described.architecture, described.parameters) == ("decoder", "llama", 134_515_008)
    assert (described.layers, described.heads, described.kv_heads, described.head_dim) == (30, 9, 3, 64)
    assert (described.width, described.mlp_width, described.vocabulary, described.context) == (576, 1536, 49152, 8192)
    assert (described.loaded_as, list(described.stored)) == ("w4+w8", ["Q4_1", "Q8_0", "F32"])
    assert described.dialect == "its own chat template, which is known"
    assert described.licence == "apache-2.0"
    assert described.kv_bytes_per_1000_tokens == 1000 * 30 * 3 * 64 * 2 * 2


@pytest.mark.parametrize("quant", ["auto", "w4", "w8", "bf16", "f32"])
def test_memory_is_what_loading_takes(tmp_path: Path, quant: str) -> None:
    path = write_model(tmp_path / "model.gguf", width=128, vocab_size=384, quant="F16")
    model = load_model(path, quant=quant, threads=1)  # type: ignore[arg-type]
    assert describe_model(path).memory[quant] == pytest.approx(model.weight_bytes, rel=0.02)
    model.executor.allocate_cache(1, 16, "float16")
    assert 16 * describe_model(path).kv_bytes_per_1000_tokens == 1000 * model.executor.cache_block_bytes(16, "float16")


def test_a_checkpoint_with_experts_and_a_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(build("mixtral"), tmp_path / "mixtral")
    write_byte_level(path)
    (path / "README.md").write_text("---\ntags: [x]\nlicense: cc-by-nc-4.0\n---\nlicense: mit\n")
    monkeypatch.setattr(_native, "Executor", None)  # nothing is loaded
    described = describe_model(path)
    assert described.experts > described.experts_chosen > 0
    assert described.licence == "cc-by-nc-4.0"
    assert described.dialect == "its own chat template"
    (path / "README.md").write_text("---\nlicense: other\nlicense_name: qwen-research\n---\n")
    assert describe_model(path).licence == "qwen-research", "the Hub does not know it, and names it"
    assert list(described.stored) == ["F32"]


def test_a_model_that_says_little(tmp_path: Path) -> None:
    described = describe_model(write_model(tmp_path / "model.gguf", layers=1, chat_template=None))
    assert (described.dialect, described.licence) == ("plain", None)


def test_a_family_that_only_pytorch_runs(tmp_path: Path) -> None:
    files = {"model.safetensors": safetensors(a=("F16", [2, 3], bytes(12)))}
    path = write_directory(tmp_path / "hf%3Abird%2Fopt-1.3b", files, {"model_type": "opt"})
    described = describe_any(path)
    assert described.title == "hf:bird/opt-1.3b"  # as the hub writes it in a path; a directory has no suffix to lose
    assert isinstance(described, UndeclaredDescription)
    assert (described.architecture, described.parameters, described.stored) == ("opt", 6, {"F16": 12})
    assert "myna[torch]" in described.runs_on


def test_any_other_model_is_described_whole(default_model: Path) -> None:
    assert describe_any(default_model) == describe_model(default_model)
