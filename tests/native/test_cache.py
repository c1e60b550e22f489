"""Cache blocks given back to the system."""

import platform
import resource
from pathlib import Path

import numpy as np
import pytest

from myna.models.config import AttentionConfig, RopeConfig
from myna.models.decoder import build_decoder
from tests.native.models import Model, batch, random_weights, tiny_config

BLOCKS = 200


@pytest.fixture
def model():
    """Each block takes 2 x 4 KV heads x (64 + 64) dimensions x 16 tokens x 4 bytes."""
    attention = (AttentionConfig(RopeConfig(64, 1e4, "half")),) * 2
    program = build_decoder(tiny_config(heads=4, kv_heads=4, head_dim=64, attention=attention))
    return Model(program, random_weights(program), blocks=BLOCKS)


def fill(model, blocks):
    """A sequence of 16 tokens in each block; their logits."""
    return model.run(batch([(range(16), 0, [block]) for block in blocks]))


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc; elsewhere the system decides when to take pages")
def test_pages_return_to_the_system(model):
    fill(model, range(BLOCKS))
    before = resident()
    model.executor.discard_blocks(np.arange(10, BLOCKS, dtype=np.int32)[::-1].copy())
    freed = (BLOCKS - 10) * model.executor.cache_block_bytes(16, "float32")
    assert before - resident() > 0.9 * freed


def test_others_keep_what_they_hold_and_discarded_ones_serve_again(model):
    follow = batch([([3], 16, [10, 30])])
    expected = fill(model, range(5, 15))
    after = model.run(follow)
    model.executor.discard_blocks(np.array([5, 6, 8, 9, 11, 12, 14, 14], np.int32))
    np.testing.assert_array_equal(model.run(follow), after)
    np.testing.assert_array_equal(fill(model, range(5, 15)), expected)


@pytest.mark.parametrize("block", [-1, BLOCKS])
def test_blocks_that_there_are_not(model, block):
    with pytest.raises(ValueError, match=rf"blocks\[1\] = {block} is not in 0 … {BLOCKS - 1}"):
        model.executor.discard_blocks(np.array([0, block], np.int32))


def test_no_blocks_and_other_types(model):
    model.executor.discard_blocks(np.zeros(0, np.int32))
    with pytest.raises(TypeError):
        model.executor.discard_blocks(np.zeros(1, np.int64))
