"""A model's name -> its file or directory on disk."""

from myna.hub.catalog import Checkpoint, RecommendedSampling, checkpoint, recommended_sampling
from myna.hub.hub import Hub, LocalModel, Reference
from myna.hub.progress import PullProgress

__all__ = [
    "Checkpoint",
    "Hub",
    "LocalModel",
    "PullProgress",
    "RecommendedSampling",
    "Reference",
    "checkpoint",
    "recommended_sampling",
]
