"""What crosses the wire of the application's own API; docs/application-api.md describes it.

Requests refuse unknown fields. Answers are read from the store's records by attribute.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from myna.engine.limits import MAX_STOP_LENGTH, MAX_STOP_STRINGS
from myna.store.records import Node

MAX_TEXT = 1_000_000
"""Characters of a message; far above any context, far below what would hurt the store."""
MAX_SYSTEM_PROMPT = 100_000
MOST_FIELDS = 100
"""Of one object; each that is unknown makes an error of its own, and a million of them take seconds."""


def without_null(text: str) -> str:
    """The text; ValueError where it has a character that databases do not take."""
    if "\0" in text:
        raise ValueError("must not contain the null character")
    return text


def _storable(text: str) -> str:
    if not without_null(text).strip():
        raise ValueError("must not be empty")
    return text


ID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["UUID, lower case"])]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_storable)]
PresetName = Annotated[str, Field(max_length=80), AfterValidator(_storable)]
Title = Annotated[str, Field(max_length=200), AfterValidator(_storable)]
ModelName = Annotated[str, Field(max_length=500), AfterValidator(_storable)]
SystemPrompt = Annotated[str, Field(max_length=MAX_SYSTEM_PROMPT), AfterValidator(without_null)]
"""Empty: none at all."""
StopString = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH), AfterValidator(without_null)]


class Request(BaseModel):
    """A body or frame from the browser."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_few_fields(cls, given: object) -> object:
        if isinstance(given, dict) and len(given) > MOST_FIELDS:
            raise ValueError(f"an object has at most {MOST_FIELDS} fields")
        return given


class Parameters(Request):
    """How a run is sampled, and how the model is talked to; what is absent has the application's default.

    ``thinking`` is for models that can be told whether to think first.
    """

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1_000_000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    stop: list[StopString] | None = Field(default=None, max_length=MAX_STOP_STRINGS)
    thinking: bool | None = None
    dialect: ModelName | None = None
    adapter: ModelName | None = None


def given(parameters: Parameters | None) -> dict[str, Any] | None:
    """Those parameters that say something; None where there are none at all."""
    return None if parameters is None else parameters.model_dump(exclude_none=True)


class NewMessage(Request):
    """A user's message."""

    id: Id
    parent_id: Id | None
    text: Text


class NewRun(Request):
    """The run that answers it. Where it has no parameters or no system prompt, the chat's count."""

    id: Id
    message_id: Id
    model: ModelName | None = None
    parameters: Parameters | None = None
    system_prompt: SystemPrompt | None = None


class NewChat(Request):
    """What a chat is made with by its first message. ``temporary``: in memory alone; it is so, or is refused."""

    system_prompt: SystemPrompt | None = None
    parameters: Parameters | None = None
    project_id: Id | None = None
    temporary: bool = False


class SendRequest(Request):
    """Body of ``POST /api/chats/{id}/messages``."""

    message: NewMessage
    run: NewRun
    chat: NewChat = NewChat()


class ContinueFrom(Request):
    """A token of an answer, counted from 0, and the id of the token that is to stand there instead."""

    message_id: Id
    token: int = Field(ge=0, lt=2**31)
    alternative: int = Field(ge=0, lt=2**31)


class RunRequest(Request):
    """Body of ``POST /api/chats/{id}/runs``: answer a user's message once more, carry on or vary an answer."""

    id: Id
    message_id: Id | None = None
    parent_id: Id | None = None
    model: ModelName | None = None
    parameters: Parameters | None = None
    system_prompt: SystemPrompt | None = None
    carry_on: Id | None = Field(default=None, alias="continue")
    continue_from: ContinueFrom | None = None

    @model_validator(mode="after")
    def one_of_both(self) -> RunRequest:
        if self.continue_from is not None:
            if self.message_id is None or self.model_fields_set - {"id", "message_id", "continue_from", "parameters"}:
                raise ValueError("continue_from takes id, message_id and parameters beside it, and no other fields")
        elif self.carry_on is None:
            if self.message_id is None or self.parent_id is None:
                raise ValueError("give message_id and parent_id to answer again, or continue to carry an answer on")
        elif self.model_fields_set - {"id", "carry_on", "parameters"}:
            raise ValueError("continue takes no other fields than id and parameters")
        return self


class TextPatch(Request):
    """Body of ``PATCH /api/messages/{id}``; ``edited_at`` is the message's own as the client knows it."""

    text: Text
    edited_at: int | None = Field(default=None, ge=0, lt=2**53)
    overwrite: bool = False


class NewCopy(Request):
    """Body of ``POST /api/messages/{id}/copy``."""

    id: Id
    text: Text


class Fork(Request):
    """Body of ``POST /api/chats/{id}/fork``; ``id`` is the new chat's."""

    id: Id
    message_id: Id


class WaitingPatch(Request):
    """Body of ``PATCH /api/runs/{id}``."""

    text: Text


class NewAdapter(Request):
    """Body of ``POST /api/models/{name}/adapters``: ``path`` is a directory in the one for adapters."""

    name: ModelName
    path: ModelName


class ChatPatch(Request):
    """Body of ``PATCH /api/chats/{id}``: what is absent stays."""

    title: Title = ""
    model: ModelName = ""
    leaf_id: Id = ""
    pinned: bool = False
    archived: bool = False
    project_id: Id | None = None
    system_prompt: SystemPrompt | None = None
    parameters: Parameters | None = None


class NewPreset(Request):
    """Body of ``POST /api/presets``."""

    id: Id
    name: PresetName
    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None
    parameters: Parameters = Parameters()
    is_default: bool = False


class PresetPatch(Request):
    """Body of ``PATCH /api/presets/{id}``: what is absent stays."""

    name: PresetName = ""
    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None
    parameters: Parameters = Parameters()
    is_default: bool = False


class Follow(Request):
    """Follow a run."""

    type: Literal["follow"]
    run: Id
    after: int = Field(ge=0, lt=2**63)


class Unfollow(Request):
    """Follow a run no longer."""

    type: Literal["unfollow"]
    run: Id


class Lists(Request):
    """Follow list changes."""

    type: Literal["lists"]
    after: int = Field(ge=0, lt=2**63)


class Hold(Request):
    """Keep a temporary chat, and follow what changes in it."""

    type: Literal["hold"]
    chat: Id


class Ping(Request):
    """Is the server still there?"""

    type: Literal["ping"]


ClientFrame = Annotated[Follow | Unfollow | Lists | Hold | Ping, Field(discriminator="type")]


class Answer(BaseModel):
    """Something of the store, as the browser sees it."""

    model_config = ConfigDict(from_attributes=True)


class Chat(Answer):
    """A chat."""

    id: str
    title: str | None
    model: str | None
    leaf_id: str | None
    created_at: int
    updated_at: int
    version: int
    titled_by: str
    pinned_at: int | None
    archived_at: int | None
    project_id: str | None
    system_prompt: str | None
    parameters: dict[str, Any] | None


class Project(Answer):
    """A folder of chats with instructions of its own."""

    id: str
    name: str
    instructions: str
    created_at: int
    updated_at: int
    version: int


class Preset(Answer):
    """Parameters and a system prompt under a name."""

    id: str
    name: str
    model: str | None
    system_prompt: str | None
    parameters: dict[str, Any]
    is_default: bool
    created_at: int


class PresetList(Answer):
    """Answer to ``GET /api/presets``."""

    presets: list[Preset]


class TextPart(Answer):
    """Text of a message."""

    type: Literal["text"] = "text"
    text: str


class ReasoningPart(Answer):
    """What the model thought before it answered."""

    type: Literal["reasoning"] = "reasoning"
    text: str


class Usage(Answer):
    """What an answer cost; times in seconds. What was above ``context_from`` did not fit into ``context_tokens``."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    finish_reason: str
    seed: int
    first_token_seconds: float
    decode_seconds: float
    reasoning_seconds: float | None = None
    context_from: str | None = None
    context_tokens: int | None = None


class Failure(Answer):
    """Why an answer or a pull failed."""

    code: str
    message: str


class Message(Answer):
    """A message."""

    id: str
    chat_id: str
    parent_id: str | None
    role: str
    parts: list[Annotated[TextPart | ReasoningPart, Field(discriminator="type")]]
    status: str
    model: str | None
    created_at: int
    run_id: str | None
    usage: Usage | None
    error: Failure | None
    parameters: dict[str, Any] | None
    edited_at: int | None


class Run(Answer):
    """A run."""

    id: str
    chat_id: str
    message_id: str
    model: str
    status: str
    last_event: int
    created_at: int


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


class ChatList(Answer):
    """Answer to ``GET /api/chats``."""

    chats: list[Chat]
    next: str | None


class OpenedChat(Answer):
    """Answer to ``GET /api/chats/{id}``: ``messages`` are the last ones of the branch, and the open answers.

    The tree is written as it was read: a long chat has thousands of nodes.
    """

    chat: Chat
    tree: list[Node]
    messages: list[Message]
    runs: list[Run]


class Contents(Answer):
    """Answer to ``GET /api/chats/{id}/messages``."""

    messages: list[Message]
    runs: list[Run]


class Created(Answer):
    """Answer to the requests that make a run."""

    chat: Chat
    messages: list[Message]
    run: Run


class Copied(Answer):
    """Answer to ``POST /api/messages/{id}/copy``."""

    chat: Chat
    message: Message


class ModelList(Answer):
    """Answer to ``GET /api/models``."""

    models: list[Model]
    default: str
    memory: MachineMemory
