"""What a text is about that somebody may not want to see: rules in a file, read by a matcher of words.

`normalise` undoes spelling tricks, `rules` reads ``rules.toml``, `classifier` scores a text by them. No model, and
nothing learnt: what is caught and what is not was measured (docs/api.md).
"""

from __future__ import annotations

from myna.server.moderation.classifier import Classifier, Scores, default_classifier
from myna.server.moderation.rules import CATEGORIES

__all__ = ["CATEGORIES", "Classifier", "Scores", "default_classifier"]
