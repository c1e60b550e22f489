from __future__ import annotations

import gguf
import numpy as np
import pytest

from myna.formats import blocks

TYPES = {kind.name: kind for kind in gguf.GGMLQuantizationType}


def weights() -> np.ndarray:
    chance = np.random.default_rng(0)
    values = chance.standard_normal((64, 32)).astype("f4") * 10.0 ** chance.integers(-6, 4, (64, 1)).astype("f4")
    values[0] = 0
    values[1] = 1.5
    values[2] = np.arange(32)
    values[3, :2] = 7, -7  # of equal magnitude: the first counts
    values[4] = np.linspace(-127.5, 127.5, 32)
    return values


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q4_1", "F16", "BF16", "F32"])
def test_weights_are_encoded_as_the_gguf_package_does(name: str) -> None:
    expected = gguf.quants.quantize(weights(), TYPES[name])
    np.testing.assert_array_equal(np.frombuffer(blocks.encode(weights(), name), np.uint8), expected.view("u1").ravel())


@pytest.mark.parametrize("name", blocks.READABLE)
def test_weights_are_decoded_as_the_gguf_package_does(name: str) -> None:
    stored = gguf.quants.quantize(weights(), TYPES[name])
    expected = gguf.quants.dequantize(stored, TYPES[name]).ravel()
    np.testing.assert_array_equal(blocks.decode(stored.tobytes(), name), expected)


def test_large_arrays_are_encoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bytes(blocks.encode(weights(), "Q4_1"))
    monkeypatch.setattr(blocks, "CHUNK", 96)
    assert bytes(blocks.encode(weights(), "Q4_1")) == whole


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e6])
@pytest.mark.parametrize("name", ["Q8_0", "F16"])
def test_what_a_type_cannot_hold_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"too large for {name}"):
        blocks.encode(np.full((1, 32), value, "f4"), name)
