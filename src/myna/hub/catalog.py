"""The models that Myna knows by name, read from ``catalog.toml`` beside this file."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from myna.hub.licences import Licence, LicenceClass, licence
from myna.hub.sources import Source, source_from_catalog

DEFAULT_MODEL = "smollm2:135m"


@dataclass(frozen=True, slots=True)
class RecommendedSampling:
    """What a chat samples with unless somebody says otherwise: what the model's authors recommend."""

    temperature: float = 0.6
    top_p: float = 0.9


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A known model. ``context`` is in tokens; ``sources`` are in order of preference.

    ``dialect`` names the way it is talked to; ``template_sha256`` is the hash of the chat template that was reviewed.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    description: str
    parameters: int
    context: int
    licence: str
    sampling: RecommendedSampling
    dialect: str
    template_sha256: str
    sources: tuple[Source, ...]

    @property
    def bytes(self) -> int:
        """Size of the model file on disk."""
        return self.sources[0].bytes

    @property
    def licence_details(self) -> Licence:
        """The licence's title, class and text."""
        return licence(self.licence)

    @property
    def licence_class(self) -> LicenceClass:
        """What the licence lets people do."""
        return self.licence_details.licence_class


@lru_cache(maxsize=1)
def models() -> tuple[CatalogModel, ...]:
    """All known models, the default first."""
    text = resources.files("myna.hub").joinpath("catalog.toml").read_text(encoding="utf-8")
    return parse(text)


def parse(text: str) -> tuple[CatalogModel, ...]:
    """Models of a catalog in TOML. Raises KeyError or TypeError where it is not well formed."""
    return tuple(_model(entry) for entry in tomllib.loads(text)["model"])


def find(name: str) -> CatalogModel | None:
    """The model of that name or alias, in any case."""
    wanted = name.casefold()
    return next((model for model in models() if wanted in (model.name, *model.aliases)), None)


def nearest(name: str) -> str | None:
    """The known name that a mistyped one probably meant."""
    names = [known for model in models() for known in (model.name, *model.aliases)]
    close = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    found = find(close[0]) if close else None
    return found.name if found else None


def recommended_sampling(name: str) -> RecommendedSampling:
    """For a model of any kind of name; those that the catalog does not know get what suits most."""
    model = find(name)
    return model.sampling if model else RecommendedSampling()


def known_templates() -> frozenset[str]:
    """SHA-256 of every chat template that was reviewed."""
    return frozenset(model.template_sha256 for model in models())


def _model(entry: dict[str, Any]) -> CatalogModel:
    return CatalogModel(
        name=entry["name"],
        aliases=tuple(entry["aliases"]),
        title=entry["title"],
        description=entry["description"],
        parameters=entry["parameters"],
        context=entry["context"],
        licence=entry["licence"],
        sampling=RecommendedSampling(**entry.get("sampling", {})),
        dialect=entry["dialect"]["name"],
        template_sha256=entry["dialect"]["template_sha256"],
        sources=tuple(source_from_catalog(source) for source in entry["source"]),
    )
