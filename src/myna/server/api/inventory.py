"""What is known of the models that are on disk or could be, as the application's API tells it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from myna.backends.manager import ModelStatus
from myna.errors import NotFound
from myna.hub import Hub, catalog, recommended_sampling
from myna.hub.licence_texts import licence_texts
from myna.hub.licences import Licence
from myna.models.description import Description, FileDescription
from myna.models.descriptions import Descriptions
from myna.runs.answer import MAX_TOKENS
from myna.server.api import types
from myna.server.api.cards import chats, licence_of, thinks
from myna.server.api.speeds import Speeds


class Moment(NamedTuple):
    """How the models are at one moment, by name; taken in the event loop, to which all of it belongs."""

    default: str
    loaded: dict[str, ModelStatus]
    adapters: dict[str, list[str]]
    pulls: dict[str, types.Pull]


class Inventory:
    """Looks models up in the hub and in their files. Its methods read the disk: they are called in a thread."""

    def __init__(self, hub: Hub, speeds: Speeds) -> None:
        self._hub = hub
        self._speeds = speeds
        self._descriptions = Descriptions(hub.directory / "descriptions.json")

    def models(self, now: Moment) -> list[types.Model]:
        """What can be talked to: a model for embeddings has no place in a chat."""
        on_disk = [local for local in self._hub.local() if local.entry is None or local.entry.kind == "chat"]
        self._descriptions.read(local.path for local in on_disk)  # all at once
        known = [entry.name for entry in catalog.models() if entry.kind == "chat"]
        fetched = (self._hub.resolve(name) for name in now.pulls)
        others = [reference.name for reference in fetched if reference.kind == "huggingface"]
        names = dict.fromkeys([*(local.name for local in on_disk), *known, now.default, *others])
        models = []
        for name in names:
            with contextlib.suppress(NotFound):  # a default that is a file, and the file is gone
                models.append(self.model(name, now))
        return sorted(models, key=lambda model: not model.on_disk)  # stable: otherwise in the order of the catalog

    def model(self, name: str, now: Moment) -> types.Model:
        """One model.

        Raises:
            NotFound: no such model.
        """
        reference = self._hub.resolve(name)
        entry, path = reference.entry, self._hub.find(name)
        status = now.loaded.get(reference.name) or ModelStatus(reference.name, "absent")
        card = self._descriptions.declared(path)
        terms = licence_of(reference, card)
        sampling = recommended_sampling(reference.name)
        return types.Model(
            name=reference.name,
            title=entry.title if entry else reference.name.rsplit("/", 1)[-1],
            description=entry.description if entry else None,
            parameters=entry.parameters if entry else card.parameters if card else None,
            licence=terms.id if terms else None,
            licence_class=terms.licence_class if terms else None,
            licence_title=terms.title if terms else None,
            licence_url=terms.url if terms else None,
            forbids=terms is not None and terms.forbids,
            context=entry.context if entry else card.context if card else None,
            bytes=self._hub.size(name) if path else entry.bytes if entry else None,
            on_disk=path is not None,
            removable=path is not None and reference.kind != "local",
            state=status.state,
            load_error=types.Failure(code=status.error.code, message=status.error.message) if status.error else None,
            running=status.running,
            memory=_memory(status, card),
            tokens_per_second=self._speeds.of(reference.name),
            chats=chats(card),
            thinks=thinks(card),
            sampling=types.Sampling(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=MAX_TOKENS,
                system_prompt=sampling.system_prompt,
            ),
            loaded=status.state == "ready",
            default=reference.name == now.default,
            adapters=now.adapters.get(reference.name, []),
            pull=now.pulls.get(reference.name),
        )

    def card(self, model: types.Model) -> types.ModelCard:
        """All that is known of a model."""
        reference, path = self._hub.resolve(model.name), self._hub.find(model.name)
        pulled = next((local for local in self._hub.local() if local.name == model.name), None)
        card, entry = self._descriptions.declared(path), reference.entry
        about = entry.about if entry else catalog.NOTHING_KNOWN
        return types.ModelCard(
            model=model,
            sources=[source.label for source in entry.sources] if entry else [],
            source=pulled.source if pulled else None,
            sha256=pulled.sha256 if pulled else None,
            fetched_at=int(pulled.pulled_at * 1000) if pulled else None,
            # A path tells of the machine; it is the name already where a file was given.
            path=str(path) if reference.kind == "local" else None,
            architecture=card.architecture if card else None,
            layers=card.layers if card else None,
            width=card.width if card else None,
            heads=card.heads if card else None,
            vocabulary=card.vocabulary if card else None,
            loaded_as=card.loaded_as if card else None,
            stored=card.stored if card else {},
            packed=card.memory if card else {},
            dialect=card.dialect if card else None,
            trained_on=about.trained_on,
            limits=about.limits,
            more=about.more,
            licence_texts=[types.LicenceText.model_validate(each) for each in licence_texts(path)] if path else [],
        )

    def describe(self, path: Path) -> Description:
        """What the files of a model say of it; the first time this takes some tenths of a second.

        Raises:
            ModelFileError: there is no model that Myna can describe.
        """
        return self._descriptions.of(path)

    def licence(self, name: str) -> Licence | None:
        """A model's licence; None where it is not known. Reads the model's file where nothing else knows it.

        Raises:
            NotFound: no such model.
        """
        known = licence_of(self._hub.resolve(name), None)
        return known or licence_of(self._hub.resolve(name), self._descriptions.declared(self._hub.find(name)))


def _memory(status: ModelStatus, card: FileDescription | None) -> types.ModelMemory | None:
    """What a model takes as it runs, or by its file what it would take."""
    if (running := status.description) is not None:
        return types.ModelMemory(weights=running.weight_bytes, kv_per_1000_tokens=running.kv_bytes_per_token * 1000)
    if card is None or "auto" not in card.memory:
        return None
    return types.ModelMemory(weights=card.memory["auto"], kv_per_1000_tokens=card.kv_bytes_per_1000_tokens)
