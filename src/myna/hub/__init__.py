"""A model's name -> a file on disk."""

from myna.hub.catalog import RecommendedSampling, recommended_sampling
from myna.hub.hub import Hub, LocalModel, PullProgress, Reference

__all__ = ["Hub", "LocalModel", "PullProgress", "RecommendedSampling", "Reference", "recommended_sampling"]
