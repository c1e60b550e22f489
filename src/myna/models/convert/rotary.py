"""Rows of q and k in the order that a kind of file has rotary pairs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from myna.formats.floats import as_bytes
from myna.models.config import AnyConfig, ModelConfig, RopeConfig
from myna.models.packing import Packing
from myna.models.weights import Stored


def main_rope(config: ModelConfig) -> RopeConfig | None:
    """Rotary positions of the layers without a window, or of all if all have one."""
    turned = [layer for layer in config.attention if layer.rope is not None]
    whole = [layer for layer in turned if layer.window is None]
    return (whole or turned)[0].rope if turned else None


def in_rotary_order(plan: list[Packing], config: AnyConfig, target: AnyConfig) -> list[Packing]:
    """The plan with rows of q and k as ``target`` has its rotary pairs."""
    if not isinstance(config, ModelConfig) or not isinstance(target, ModelConfig):
        return plan
    here, there = main_rope(config), main_rope(target)
    if here is None or there is None or here.layout == there.layout:
        return plan
    order = neighbours if there.layout == "interleaved" else halves
    turned = []
    for packing in plan:
        bare = packing.weight.name.removesuffix(".bias")
        heads = {"q": config.heads, "k": config.kv_heads}.get(bare.rpartition(".attention.")[2])
        if heads is not None:
            rows = order(packing.stored.shape[0], heads, here.dims)
            packing = replace(packing, stored=_in_order(packing.stored, rows))
        turned.append(packing)
    return turned


def _in_order(stored: Stored, rows: NDArray[np.intp]) -> Stored:
    @contextmanager
    def lend() -> Iterator[memoryview]:
        with stored.lend() as data:
            yield as_bytes(np.frombuffer(data, np.uint8).reshape(len(rows), -1)[rows])

    return replace(stored, lend=lend)


def neighbours(rows: int, heads: int, dims: int) -> NDArray[np.intp]:
    """Which row comes where so that rotary pairs half of ``dims`` apart become neighbours, head by head."""
    head = np.arange(rows // heads)
    head[:dims] = head[:dims].reshape(2, -1).T.ravel()
    return (np.arange(heads)[:, None] * len(head) + head).ravel()


def halves(rows: int, heads: int, dims: int) -> NDArray[np.intp]:
    """The way back of `neighbours`."""
    return np.argsort(neighbours(rows, heads, dims))
