"""Every error that Myna raises on purpose, as one tree.

::

    MynaError
    ├── RequestError                what a caller sent is at fault
    │   ├── InvalidParameter          a value is malformed or out of range
    │   ├── UnsupportedParameter      known, but not available here
    │   ├── PromptTooLong             prompt and context length, both in tokens
    │   ├── TooLarge                  more bytes than are taken
    │   ├── NotFound                  no such model, chat, message or run
    │   ├── Conflict                  the request contradicts what is stored
    │   ├── LicenceNotAcknowledged    a model that is not for every use, and its licence was not read
    │   ├── Refused                   another origin, an unknown host, what the caller may not do
    │   ├── Unauthenticated           who is asking is not known
    │   │   ├── WrongPassword           or wrong name, or a wrong set-up token
    │   │   ├── WrongOwnPassword        of who is signed in
    │   │   ├── AccountDisabled
    │   │   ├── CodeRequired            the password is right, and a second factor is asked for
    │   │   ├── WrongCode               of a second factor
    │   │   ├── WrongPasskey            not known, or what it signed is not right
    │   │   └── SetUpRequired           nobody may be without a second factor
    │   └── TooManyAttempts           to sign in
    ├── LimitReached                more than a user or key may ask for, for now
    │   ├── RateLimited               in a minute
    │   └── QuotaExhausted            in a day
    ├── ProviderError               the identity provider failed, or cannot be believed
    ├── ConfigurationError          settings, port, data directory
    ├── ModelFileError              a model file is truncated, corrupt, hostile or unsupported
    ├── HubError                    a model could not be fetched
    │   ├── SourcesUnreachable        every source was tried; why each failed
    │   ├── HashMismatch              what arrived is not what the catalog promises
    │   └── DiskFull
    ├── EngineError                 generation failed
    │   ├── EngineCrashed             the engine process ended; its answers are interrupted
    │   ├── EngineBusy                too many requests wait; try again later
    │   ├── ServerStopping            its answers are cut off; another server, or this one later, will do
    │   └── ModelTooLarge             weights or KV cache do not fit into memory
    └── StoreError                  the database cannot be opened, migrated or written
        ├── StorageFull               no room on the disk for a file
        └── StoreUnavailable          the database is away or locked for now; try again later

A message is one or two sentences for a person: what was wrong, with the value, and what to do about it.
``code`` is stable and meant for programs; ``param`` names the offending field where there is one.
`myna.server` turns an error into an HTTP answer in one place, `myna.cli` into a sentence and an exit code.
"""

from __future__ import annotations

from typing import ClassVar, Literal

__all__ = [
    "AccountDisabled",
    "CodeRequired",
    "ConfigurationError",
    "Conflict",
    "DiskFull",
    "EngineBusy",
    "EngineCrashed",
    "EngineError",
    "HashMismatch",
    "HubError",
    "InvalidParameter",
    "LicenceNotAcknowledged",
    "LimitReached",
    "ModelFileError",
    "ModelTooLarge",
    "MynaError",
    "NotFound",
    "PromptTooLong",
    "ProviderError",
    "QuotaExhausted",
    "RateLimited",
    "Refused",
    "RequestError",
    "ServerStopping",
    "SetUpRequired",
    "SourcesUnreachable",
    "StorageFull",
    "StoreError",
    "StoreUnavailable",
    "TooLarge",
    "TooManyAttempts",
    "Unauthenticated",
    "UnsupportedParameter",
    "WrongCode",
    "WrongOwnPassword",
    "WrongPasskey",
    "WrongPassword",
]


class MynaError(Exception):
    """Root of the tree."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    @property
    def told(self) -> str:
        """What clients of a server are told; the log has the whole message."""
        return self.message


class RequestError(MynaError):
    """What a caller sent is at fault; sending it again will not help."""

    code = "invalid_request"


class InvalidParameter(RequestError):
    """A value is malformed, of the wrong type or out of range."""

    code = "invalid_value"


class UnsupportedParameter(RequestError):
    """A known parameter or feature that is not available here."""

    code = "unsupported_parameter"


class PromptTooLong(RequestError):
    """A prompt, or a text to embed, does not fit into the model's context.

    Args:
        tokens: its length, in tokens.
        limit: what the context holds, in tokens.
        param: the field that holds it.
        what: what it is called.
        remedy: what to do about it, before choosing another model.
    """

    code = "context_length_exceeded"

    def __init__(
        self,
        tokens: int,
        limit: int,
        *,
        param: str | None = "messages",
        what: str = "prompt",
        remedy: str = "Shorten the prompt, start a new chat",
    ) -> None:
        super().__init__(
            f"The {what} has {tokens} tokens, but this model's context holds {limit}. "
            f"{remedy} or choose a model with a longer context.",
            param=param,
        )
        self.tokens = tokens
        self.limit = limit


class TooLarge(RequestError):
    """More bytes than are taken, at once or in all."""

    code = "content_too_large"


class NotFound(RequestError):
    """No such model, chat, message or run (or none that this caller may see)."""

    code = "not_found"


class Conflict(RequestError):
    """The request contradicts what is stored, such as an id that is used for something else."""

    code = "conflict"


class Refused(RequestError):
    """A request from another origin, an unknown host name, or for what the caller may not do."""

    code = "refused"


class LicenceNotAcknowledged(RequestError):
    """A model's licence forbids some uses, and who asks has not said that he has read it.

    Args:
        model: its name.
        title: of the licence.
        url: of its text.
    """

    code = "licence_not_acknowledged"

    def __init__(self, model: str, title: str, url: str | None) -> None:
        super().__init__(
            f"{model} comes under the {title}, which does not allow every use. "
            f"Read it{'' if url is None else f' ({url})'} and acknowledge it in the list of models first.",
            param="model",
        )
        self.model = model


class Unauthenticated(RequestError):
    """Who is asking is not known, and has to be."""

    code = "not_signed_in"


class WrongPassword(Unauthenticated):
    """Name and password do not belong together, or the set-up token is wrong; which of them is not said."""

    code = "wrong_password"


class WrongOwnPassword(Unauthenticated):
    """Who is signed in was to give the password once more, and this is not it."""

    code = "wrong_own_password"


class AccountDisabled(Unauthenticated):
    """The password is right, but the account may not be used."""

    code = "account_disabled"


class CodeRequired(Unauthenticated):
    """The password is right; the code of the second factor is needed as well."""

    code = "second_factor_required"


class WrongCode(Unauthenticated):
    """The code of a second factor is not right, or was used already."""

    code = "wrong_code"


class WrongPasskey(Unauthenticated):
    """A passkey is not known here, or what it has signed is not right."""

    code = "wrong_passkey"


class SetUpRequired(Unauthenticated):
    """The password is right, but nobody here may be without a second factor, and this user has none yet."""

    code = "second_factor_setup_required"


class TooManyAttempts(RequestError):
    """Too many attempts to sign in failed.

    Args:
        retry_after: seconds until the next is taken.
    """

    code = "too_many_attempts"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LimitReached(MynaError):
    """More than a user or a key may ask for.

    Args:
        unit: what there were too many of.
        retry_after: seconds until there is room again.
    """

    def __init__(self, message: str, *, unit: Literal["requests", "tokens"], retry_after: float) -> None:
        super().__init__(message)
        self.unit = unit
        self.retry_after = retry_after


class RateLimited(LimitReached):
    """Too many requests or tokens in a minute."""

    code = "rate_limit_exceeded"


class QuotaExhausted(LimitReached):
    """The tokens of a day are used up."""

    code = "insufficient_quota"


class ProviderError(MynaError):
    """The identity provider failed, or what it says cannot be believed."""

    code = "provider_error"


class ConfigurationError(MynaError):
    """A setting, the port or the data directory cannot be used."""

    code = "configuration_error"


class ModelFileError(MynaError):
    """A model file is truncated, corrupt, hostile or of an unsupported kind.

    Args:
        path: the file.
        reason: what is wrong with it, as a clause without a full stop.
    """

    code = "model_file_error"

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path} cannot be used as a model: {reason}.")
        self.path = str(path)
        self.reason = reason
        self.reason = reason


class HubError(MynaError):
    """A model could not be fetched."""

    code = "hub_error"


class SourcesUnreachable(HubError):
    """Every source of a model was tried in turn and none delivered it.

    Args:
        name: the model.
        attempts: (source, reason) for each that was tried, in order.
    """

    code = "sources_unreachable"

    def __init__(self, name: str, attempts: list[tuple[str, str]]) -> None:
        tried = "\n".join(f"  - {source}: {reason}" for source, reason in attempts)
        super().__init__(
            f"{name} could not be fetched. Tried, in order:\n{tried}\n"
            "Check the network or proxy, or give the path of a GGUF file instead of a name."
        )
        self.attempts = attempts


class HashMismatch(HubError):
    """What arrived is not what the catalog promises; it was deleted."""

    code = "hash_mismatch"


class DiskFull(HubError):
    """No room for the file; what had arrived is kept for resuming where the source allows it."""

    code = "disk_full"


class EngineError(MynaError):
    """Generation failed."""

    code = "engine_error"


class EngineCrashed(EngineError):
    """The engine process ended unexpectedly; a new one is started for the next request."""

    code = "engine_crashed"


class EngineBusy(EngineError):
    """Too many requests wait already; try again later."""

    code = "engine_busy"


class ServerStopping(EngineError):
    """The server was told to stop and ends the answers that still run."""

    code = "server_stopping"


class ModelTooLarge(EngineError):
    """Weights or KV cache do not fit into the memory there is."""

    code = "model_too_large"


class StoreError(MynaError):
    """The database cannot be opened, migrated or written.

    Args:
        message: for who runs the server: with paths, addresses, and what the database said.
        param: see `MynaError`.
        told: for everybody else; by default the same.
    """

    code = "store_error"

    def __init__(self, message: str, *, param: str | None = None, told: str | None = None) -> None:
        super().__init__(message, param=param)
        self._told = told

    @property
    def told(self) -> str:
        """Without what is nobody's business but the operator's."""
        return self.message if self._told is None else self._told


class StorageFull(StoreError):
    """The disk has no room for a file; nothing of it was kept."""

    code = "disk_full"


class StoreUnavailable(StoreError):
    """The database cannot be reached, or is locked or only to be read for now; what was asked for may be sent again."""

    code = "store_unavailable"
