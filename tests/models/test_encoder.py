"""The encoder as a Program: what it reads, and that texts of one batch do not see each other."""

from __future__ import annotations

import numpy as np
import pytest

from myna.models.config import EncoderConfig
from myna.models.encoder import build_encoder
from myna.models.interpreter import Interpreter
from tests.native.models import batch, random_weights

CONFIG = EncoderConfig(
    architecture="bert",
    layers=2,
    width=32,
    heads=4,
    mlp_width=48,
    vocab_size=50,
    context=40,
    norm_epsilon=1e-12,
    activation="gelu",
    pooling="mean",
    normalised=True,
)


@pytest.fixture(scope="module")
def encoder() -> Interpreter:
    program = build_encoder(CONFIG)
    return Interpreter(program, random_weights(program), blocks=8)


def test_every_weight_has_its_bias_but_the_tables() -> None:
    names = build_encoder(CONFIG).weights
    without = {name for name in names if not name.endswith(".bias") and f"{name}.bias" not in names}
    assert without == {"embedding", "position_embedding"}


def test_every_token_sees_those_after_it(encoder: Interpreter) -> None:
    one = encoder.forward(*batch([([1, 2, 3, 4], 0, [0])]).arrays())
    other = encoder.forward(*batch([([1, 2, 3, 5], 0, [0])]).arrays())
    assert np.abs(one[0] - other[0]).max() > 1e-3


def test_texts_of_one_batch_do_not_see_each_other(encoder: Interpreter) -> None:
    texts = [[1, 2, 3], list(range(4, 24)), [7]]
    together = encoder.forward(*batch([(texts[0], 0, [3]), (texts[1], 0, [5, 1]), (texts[2], 0, [2])]).arrays())
    alone = [encoder.forward(*batch([(text, 0, [6, 7])]).arrays()) for text in texts]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


def test_only_wanted_rows_come_out(encoder: Interpreter) -> None:
    texts = batch([([1, 2, 3], 0, [0]), ([4, 5], 0, [1])])
    first = batch([([1, 2, 3], 0, [0]), ([4, 5], 0, [1])], [0, 3])
    np.testing.assert_allclose(encoder.forward(*first.arrays()), encoder.forward(*texts.arrays())[[0, 3]], atol=1e-6)
