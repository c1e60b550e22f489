"""The models that Myna knows by name, from ``catalog.toml`` beside this file."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from myna.hub.entries import checkpoint_entry, entries
from myna.hub.licences import Licence, LicenceClass, licence
from myna.hub.sources import Snapshot, Source, source_from_catalog


@dataclass(frozen=True, slots=True)
class RecommendedSampling:
    """What a chat uses unless somebody says otherwise: what the model's authors recommend, or what was measured.

    ``system_prompt`` opens a chat that has no system message of its own; None leaves that to the chat template.
    """

    temperature: float = 0.6
    top_p: float = 0.9
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What a model's authors say of it, for people: the data, what it does badly, where more is said."""

    trained_on: str | None = None
    limits: str | None = None
    more: str | None = None


NOTHING_KNOWN = About()


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A known model. ``context`` is in tokens; ``sources`` are in order of preference.

    ``dialect`` names the way it is talked to; ``template_sha256`` is the hash of the chat template that was reviewed.
    Models for embeddings have neither.
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
    sources: tuple[Source | Snapshot, ...]
    kind: Literal["chat", "embedding"] = "chat"
    about: About = NOTHING_KNOWN

    @property
    def bytes(self) -> int:
        """Size of the model on disk."""
        return self.sources[0].bytes

    @property
    def licence_details(self) -> Licence:
        """The licence's title, class and text."""
        return licence(self.licence)

    @property
    def licence_class(self) -> LicenceClass:
        """What the licence lets people do."""
        return self.licence_details.licence_class


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of published weights that Myna does not offer by a name of its own.

    ``dialect`` names the way they are talked to where they bring no chat template; None where they do, or where they
    were never taught to chat.
    """

    licence: Licence
    dialect: str | None = None


@lru_cache(maxsize=1)
def models() -> tuple[CatalogModel, ...]:
    """All known models, the default first."""
    return tuple(map(parse, entries()))


def parse(entry: dict[str, Any]) -> CatalogModel:
    """A model of the catalog. Raises KeyError or TypeError where its table is not well formed."""
    return CatalogModel(
        name=entry["name"],
        aliases=tuple(entry["aliases"]),
        title=entry["title"],
        description=entry["description"],
        parameters=entry["parameters"],
        context=entry["context"],
        licence=entry["licence"],
        sampling=RecommendedSampling(**entry.get("sampling", {})),
        dialect=entry.get("dialect", {}).get("name", ""),
        template_sha256=entry.get("dialect", {}).get("template_sha256", ""),
        sources=tuple(map(source_from_catalog, entry["source"])),
        kind=entry.get("kind", "chat"),
        about=About(**entry.get("about", {})),
    )


def find(name: str) -> CatalogModel | None:
    """The model of that name or alias, in any case."""
    wanted = name.casefold()
    return next((model for model in models() if wanted in (model.name, *model.aliases)), None)


def checkpoint(name: str) -> Checkpoint | None:
    """What is known of a repository: ``owner/repo``, with or without ``hf:`` before and a file after it."""
    entry = checkpoint_entry(name)
    return Checkpoint(licence(entry["licence"]), entry.get("dialect")) if entry else None


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
