from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from myna.errors import ModelFileError
from myna.formats import open_model
from tests.formats.builder import File
from tests.formats.checkpoints import safetensors, write_directory

Values = dict[str, np.ndarray]
WIDTH = 3
BASE: Values = {
    "embed": np.linspace(-1, 1, 4 * WIDTH, dtype="f4").reshape(4, WIDTH),
    "norm": np.ones(WIDTH, "f4"),
    "layers.0.rotary_emb.inv_freq": np.ones(2, "f4"),
}
DELTA: Values = {
    "embed": np.linspace(0, 3, 5 * WIDTH, dtype="f4").reshape(5, WIDTH),
    "norm": np.full(WIDTH, 1e-3, "f4"),
    "bias": np.arange(2, dtype="f4"),
}


def write(path: Path, values: Values, dtype: str = "F32", vocabulary: int = 4) -> Path:
    kind = {"F32": "<f4", "F16": "<f2"}.get(dtype)
    content = {}
    for name, value in values.items():
        # The upper half of a float32 is the bfloat16 below it.
        data = value.astype(kind) if kind else (value.view(np.uint32) >> 16).astype(np.uint16)
        content[name] = (dtype, list(value.shape), data.tobytes())
    return write_directory(path, {"model.safetensors": safetensors(**content)}, {"vocab_size": vocabulary})


def added(base: Path, delta: Path) -> dict[str, tuple[str, bytes]]:
    with closing(open_model(f"{base}+{delta}")) as file:
        found = {}
        for name, tensor in file.tensors.items():
            with file.read(tensor) as data:
                found[name] = (tensor.type, bytes(data))
    return found


@pytest.mark.parametrize(
    ("base", "delta", "type_", "kind"),
    [("F32", "F32", "F32", "<f4"), ("F16", "F16", "F16", "<f2"), ("F16", "F32", "F32", "<f4")],
)
def test_weights_are_added_and_new_rows_taken_as_they_are(
    tmp_path: Path, base: str, delta: str, type_: str, kind: str
) -> None:
    found = added(write(tmp_path / "base", BASE, base), write(tmp_path / "delta", DELTA, delta))
    kinds = {"F32": "<f4", "F16": "<f2"}
    stored_base = {name: value.astype(kinds[base]).astype("f4") for name, value in BASE.items()}
    stored_delta = {name: value.astype(kinds[delta]).astype("f4") for name, value in DELTA.items()}
    embed = stored_delta["embed"].copy()
    embed[:4] += stored_base["embed"]
    expected = {"embed": embed, "norm": stored_base["norm"] + stored_delta["norm"]}
    assert found.keys() == {"embed", "norm", "bias"}
    for name, value in expected.items():
        assert found[name] == (type_, value.astype(kind).tobytes())
    assert found["bias"] == (delta, DELTA["bias"].astype(kinds[delta]).tobytes())


def test_bfloat16_is_rounded_to_the_nearest(tmp_path: Path) -> None:
    base = write(tmp_path / "base", {"a": np.array([1.0, 1.0, 2.0], "f4")}, "BF16")
    delta = write(tmp_path / "delta", {"a": np.array([2**-7, 2**-8 + 2**-9, 2**-7], "f4")}, "BF16")
    kind, data = added(base, delta)["a"]
    values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    assert (kind, list(values)) == ("BF16", [1 + 2**-7, 1 + 2**-7, 2.0])


def test_the_configuration_and_the_tokenizer_are_the_deltas(tmp_path: Path) -> None:
    base, delta = write(tmp_path / "base", BASE), write(tmp_path / "delta", DELTA, vocabulary=5)
    with closing(open_model(f"{base}+{delta}")) as file:
        assert file.metadata.integer("vocab_size") == 5
        assert (file.path, file.directories) == (delta, (delta, base))


@pytest.mark.parametrize(
    ("delta", "reason"),
    [
        ({"embed": BASE["embed"]}, "it lacks tensor 'norm', so it is no delta to"),
        (DELTA | {"norm": np.ones(WIDTH - 1, "f4")}, r"tensor 'norm' has the shape \[2\], its base \[3\]"),
        (DELTA | {"embed": np.ones((4, 9), "f4")}, r"tensor 'embed' has the shape \[4, 9\], its base \[4, 3\]"),
    ],
)
def test_a_delta_to_another_model_is_refused(tmp_path: Path, delta: Values, reason: str) -> None:
    base, changed = write(tmp_path / "base", BASE), write(tmp_path / "delta", delta)
    with pytest.raises(ModelFileError, match=reason):
        open_model(f"{base}+{changed}")


def test_a_delta_to_a_gguf_file_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base.gguf"
    base.write_bytes(File().build())
    delta = write(tmp_path / "delta", DELTA)
    with pytest.raises(ModelFileError, match="a delta and its base are checkpoint directories, not GGUF files"):
        open_model(f"{base}+{delta}")


def test_a_plus_in_a_name_is_only_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a+b", BASE)
    with closing(open_model(path)) as file:
        assert file.path == path
