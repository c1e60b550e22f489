"""Who may use a model now, and what each request has used: the one place where rates, quotas and usage meet.

A route asks `admit` before it uses a model. What is computed is told to `Meter.spend` as it comes, wherever it is
asked for: by `myna.server.caller` for the APIs, by the runs for chats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import HTTPConnection

from myna.errors import RateLimited
from myna.server.identity import Identity, Limits, identity_of
from myna.server.inside import IN_BACKGROUND
from myna.server.options import ServerOptions
from myna.server.quotas import Usage
from myna.server.rates import Rates
from myna.settings import Settings

Work = Literal["searches", "copies"]
WORK: Mapping[Work, Limits] = {
    "searches": Limits(requests_per_minute=240),  # one a quarter of a second: more than is typed
    "copies": Limits(requests_per_minute=30),
}
"""How often a user may ask for what costs the database much and no model anything, whatever other limits are."""
USE_IN_SCOPE = "myna.use"
"""Key of the ASGI scope; `myna.server.observe.Observe` puts a `Use` there for every HTTP request."""


@dataclass(slots=True)
class Use:
    """What one HTTP request has used so far: for its headers, its line in the log and its span.

    Attributes:
        request_id: as the client is told.
        limits: those that count for it, by whose they are.
        model: the one that it uses.
        prompt_tokens: computed or found in the cache.
        completion_tokens: generated or, of embeddings, none.
    """

    request_id: str
    limits: Mapping[str, Limits] = field(default_factory=dict)
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


def use_of(connection: HTTPConnection) -> Use:
    """What a request has used so far."""
    use: Use = connection.scope[USE_IN_SCOPE]
    return use


class Meter:
    """Limits and counts of one server."""

    def __init__(self, settings: Settings, options: ServerOptions) -> None:
        self.rates = Rates()
        self.usage = Usage()
        self._work = Rates()
        self._options = options
        self._settings = Limits(settings.requests_per_minute, settings.tokens_per_minute, settings.tokens_per_day)

    def limits(self, caller: Identity) -> dict[str, Limits]:
        """The limits that count for somebody: the user's, what owners decided where he has none, and the key's."""
        limits = {_user(caller.user): self.limits_of(caller.limits)}
        return limits if caller.key is None else limits | {_key(caller.key): caller.key_limits}

    def limits_of(self, own: Limits) -> Limits:
        """A user's limits: his own; where he has none, those of the server's options; then those of its settings."""
        found = {}
        for name in Limits.__slots__:
            ranked = (getattr(each, name) for each in (own, self._options.current, self._settings))
            found[name] = next((limit for limit in ranked if limit is not None), None)
        return Limits(**found)

    def check(self, caller: Identity) -> None:
        """Take one request from somebody's limits.

        Raises:
            RateLimited, QuotaExhausted: it has to wait.
        """
        self.check_quota(caller)
        self.rates.admit(self.limits(caller))

    def check_quota(self, caller: Identity) -> None:
        """Whether somebody has tokens left today. Raises QuotaExhausted."""
        self.usage.check(caller.user, self.limits(caller)[_user(caller.user)].tokens_per_day)

    def admit_work(self, user: str, work: Work) -> None:
        """Let a user do something that is no use of a model. Raises RateLimited."""
        self._work.admit({f"{work} of {user}": WORK[work]})

    def spend(
        self, owner: str, key: str | None, model: str, *, requests: int = 0, prompt: int = 0, completion: int = 0
    ) -> None:
        """Count what was used, and take the tokens from their user's limits and their key's."""
        self.usage.add(owner, key, model, requests=requests, prompt=prompt, completion=completion)
        self.rates.spend(_user(owner), prompt + completion)
        if key is not None:
            self.rates.spend(_key(key), prompt + completion)

    def time(self, owner: str, key: str | None, model: str, tokens: int, seconds: float) -> None:
        """Count how long an answer's tokens after the first took; without any, nothing is told by it."""
        if tokens > 0 and seconds > 0:
            self.usage.add(owner, key, model, timed_tokens=tokens, timed_seconds=seconds)

    def time_in_chat(self, owner: str, model: str, tokens: int, seconds: float) -> None:
        """The same of an answer in the browser, as `myna.runs` tells it."""
        self.time(owner, None, model, tokens, seconds)

    def spend_in_chat(self, owner: str, model: str, prompt: int, completion: int) -> None:
        """Count what an answer in the browser uses, as `myna.runs` tells it: the prompt once an answer."""
        self.spend(owner, None, model, requests=1 if prompt else 0, prompt=prompt, completion=completion)


async def admit(connection: HTTPConnection) -> None:
    """Let a request that uses a model begin. What runs in the background waits for its turn, the rest is refused.

    Raises:
        RateLimited: too many requests or tokens in a minute.
        QuotaExhausted: the tokens of a day are used up.
    """
    meter: Meter = connection.app.state.meter
    caller = identity_of(connection)
    use_of(connection).limits = meter.limits(caller)
    while True:
        try:
            meter.check(caller)
        except RateLimited as error:
            if not connection.scope.get(IN_BACKGROUND):
                raise
            await asyncio.sleep(error.retry_after)
        else:
            return


def _user(user: str) -> str:
    return f"user {user}"


def _key(key: str) -> str:
    return f"key {key}"
