"""Deleting a pulled model, with what was kept of its packed weights."""

from __future__ import annotations

from myna.hub import Hub


def remove_model(hub: Hub, name: str) -> int:
    """Delete a model that was pulled. Returns the bytes freed.

    Raises:
        NotFound: the name means nothing, or the model was not pulled.
    """
    freed = hub.remove(name)
    packed = hub.directory / "packed"
    if packed.is_dir():
        from myna.models.packed_cache import PackedCache  # kernels and NumPy, which only this needs

        freed += PackedCache(packed).prune()
    return freed
