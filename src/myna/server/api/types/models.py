"""Models, and the licences that were read."""

from __future__ import annotations

from typing import Literal

from myna.server.api.types.base import Answer, Failure, ModelName, Request


class NewAdapter(Request):
    """Body of ``POST /api/models/{name}/adapters``: ``path`` is a directory in the one for adapters."""

    name: ModelName
    path: ModelName


class Pull(Answer):
    """A model on its way; sizes in bytes."""

    state: Literal["running", "failed"]
    done: int
    total: int
    bytes_per_second: float
    source: str | None
    error: Failure | None


class Sampling(Answer):
    """What a model is asked with where nobody says otherwise."""

    temperature: float
    top_p: float
    max_tokens: int
    system_prompt: str | None


class ModelMemory(Answer):
    """Bytes that a model takes: its weights, and its KV cache for 1000 tokens."""

    weights: int
    kv_per_1000_tokens: int


class Model(Answer):
    """A model that is on disk or can be fetched; ``parameters`` counts weights, ``context`` tokens.

    ``forbids``: its licence is to be acknowledged. ``memory``: what it takes, None before it is on disk.
    ``chats``: whether it was taught to hold a conversation, ``thinks``: whether it can be told to think first.
    ``tokens_per_second`` as measured here. ``removable``: it was fetched by Myna.
    """

    name: str
    title: str
    description: str | None
    parameters: int | None
    licence: str | None
    licence_class: str | None
    context: int | None
    bytes: int | None
    licence_title: str | None
    licence_url: str | None
    forbids: bool
    on_disk: bool
    removable: bool
    state: Literal["absent", "loading", "ready", "failed"]
    load_error: Failure | None
    running: int
    memory: ModelMemory | None
    tokens_per_second: float | None
    chats: bool | None
    thinks: bool
    sampling: Sampling
    loaded: bool
    default: bool
    adapters: list[str]
    pull: Pull | None


class LicenceText(Answer):
    """A file that lies beside a model, and all that it says."""

    file: str
    text: str


class ModelCard(Answer):
    """All that is known of a model. Sizes are bytes, ``stored`` by type in the file, ``packed`` by quantisation.

    ``licence_texts``: those that lie beside its files.
    """

    model: Model
    sources: list[str]
    source: str | None
    sha256: str | None
    fetched_at: int | None
    path: str | None
    architecture: str | None
    layers: int | None
    width: int | None
    heads: int | None
    vocabulary: int | None
    loaded_as: str | None
    stored: dict[str, int]
    packed: dict[str, int]
    dialect: str | None
    trained_on: str | None
    limits: str | None
    more: str | None
    licence_texts: list[LicenceText]


class MachineMemory(Answer):
    """Bytes: what the machine has, what is free, and the models' budget (0: none)."""

    total: int
    available: int
    budget: int


class ModelList(Answer):
    """Answer to ``GET /api/models``."""

    models: list[Model]
    default: str
    memory: MachineMemory


class NewAcknowledgement(Request):
    """Body of ``POST /api/licences``."""

    licence: ModelName
    model: ModelName


class Acknowledgement(Answer):
    """That the caller has read a licence, first for ``model``."""

    licence: str
    model: str
    at: int


class AcknowledgementList(Answer):
    """Answer to ``GET /api/licences``."""

    acknowledged: list[Acknowledgement]
