"""Signing in with the identity provider: who that is here, and who may become somebody.

A person is known by issuer and subject alone. A name or an e-mail address, verified or not, finds nobody's account:
whoever has one already links it while signed in to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import msgspec

from myna.errors import AccountDisabled, ConfigurationError, Conflict, InvalidParameter, Refused, TooManyAttempts
from myna.server.accounts.directory import identity as identity_of_user
from myna.server.accounts.invitations import accept, join
from myna.server.accounts.names import LONGEST, clean_name, looks, name_key
from myna.server.accounts.provider import Provider
from myna.server.accounts.service import Accounts
from myna.server.accounts.sign_in import FRESH_MS, check_fresh
from myna.server.accounts.throttle import network_of
from myna.server.accounts.users import change, get, make
from myna.server.identity import OPERATOR, Identity
from myna.settings import Settings
from myna.store import audit, provider_identities
from myna.store.pages import new_id
from myna.store.provider_identities import ProviderIdentity
from myna.store.records import now
from myna.store.scope import Transaction
from myna.store.users import Role, User

Purpose = Literal["sign_in", "link"]
ROLES: tuple[Role, ...] = ("owner", "admin", "member")


class Journey(msgspec.Struct, frozen=True):
    """What a browser takes along to the provider and back, in a cookie that no page can read."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    purpose: Purpose
    invitation: str | None
    user: str | None
    """Who links his account; None to sign in."""
    begun_at: int = 0
    proof: str = ""
    """Of who has a password: that it was right when he began to link, see `_proof`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom the settings let in, and as what."""

    domains: frozenset[str]
    groups: frozenset[str]
    groups_claim: str
    role_claim: str | None
    sign_up: bool


def rules_of(settings: Settings) -> Rules:
    """The rules of the settings."""
    return Rules(
        domains=frozenset(domain.lower() for domain in settings.oidc_allowed_domains),
        groups=frozenset(settings.oidc_allowed_groups),
        groups_claim=settings.oidc_groups_claim,
        role_claim=settings.oidc_role_claim,
        sign_up=settings.oidc_sign_up,
    )


async def begin(
    provider: Provider, origin: str, purpose: Purpose, *, invitation: str | None, user: User | None
) -> tuple[str, Journey]:
    """Where to send the browser, and what it takes along.

    Args:
        provider: the provider.
        origin: of this server, as the browser has it.
        purpose: what for.
        invitation: the secret of one, for who has no account yet.
        user: who links his account, and has just shown that it is he.

    Raises:
        ProviderError: the provider cannot be asked.
    """
    state, at = secrets.token_urlsafe(32), now()
    journey = Journey(
        state=state,
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=f"{origin}/sign-in/provider",
        purpose=purpose,
        invitation=invitation,
        user=None if user is None else user.id,
        begun_at=at,
        proof="" if user is None else _proof(user, state, at),
    )
    location = await provider.location(
        journey.redirect_uri, state=journey.state, nonce=journey.nonce, verifier=journey.verifier
    )
    return location, journey


async def finish(
    accounts: Accounts,
    provider: Provider,
    rules: Rules,
    journey: Journey,
    *,
    code: str,
    state: str,
    issuer: str | None,
    caller: Identity | None,
    address: str,
) -> User:
    """The user who came back from the provider, made or linked where that is wanted.

    Raises:
        InvalidParameter: this is not what was begun in this browser.
        ProviderError: the provider failed, or cannot be believed.
        Refused: this person may not come in, or is nobody here.
        AccountDisabled: his account may not be used.
        Conflict: he is somebody else here already, or there are too many users.
        TooManyAttempts: too many attempts failed.
    """
    source = "provider", network_of(address)
    if wait := accounts.by_address.attempt(source):
        raise TooManyAttempts(f"Too many attempts to sign in; try again in {wait} seconds.", retry_after=wait)
    if not hmac.compare_digest(journey.state.encode(), state.encode()):
        raise InvalidParameter(
            "This sign-in was not begun in this browser, or another was since. Begin anew.", param="state"
        )
    if journey.purpose == "link" and (caller is None or caller.session is None or caller.user != journey.user):
        # The cookie is as its browser sends it, so what it says of the purpose is no proof; and a key that could link
        # would be a way in for good.
        raise Refused("Somebody else is signed in here by now than who began to link an account.")
    if journey.purpose == "link":
        assert caller is not None
        _check_proof(accounts, caller, journey)
    claims = await provider.claims(
        code, journey.redirect_uri, nonce=journey.nonce, verifier=journey.verifier, issuer=issuer
    )
    _check_allowed(rules, claims)
    role = _role_of(rules, claims)
    async with accounts.database.transaction() as transaction:
        known = await provider_identities.find(transaction, provider.issuer, claims["sub"])
        if journey.purpose == "link":
            assert caller is not None
            user = await _link(transaction, accounts, provider, caller, claims, known)
        elif known is None:
            user = await _join(transaction, accounts, provider, rules, journey, claims, role)
        else:
            user = get(accounts, known.owner)
            if user.disabled:
                raise AccountDisabled("This account is disabled; an owner or admin of this server can enable it.")
            await provider_identities.used(transaction, known, now())
    if known is not None and role is not None and role != user.role and journey.purpose == "sign_in":
        with contextlib.suppress(Refused):  # the last owner stays one
            user, _ = await change(accounts, OPERATOR, user.id, role=role)
    accounts.by_address.succeeded(source)
    return user


async def linked(accounts: Accounts, provider: Provider, by: Identity) -> ProviderIdentity | None:
    """Who one is at the provider."""
    async with accounts.database.read(by.user) as scope:
        found = await provider_identities.of_owner(scope)
    return next((each for each in found if each.issuer == provider.issuer), None)


async def unlink(accounts: Accounts, provider: Provider, by: Identity) -> None:
    """Sign in with the provider no longer.

    Raises:
        Refused: there would be no other way in.
        Conflict: the account is not linked.
    """
    if not get(accounts, by.user).password:
        raise Refused("Your account has no password, so that nobody could sign in to it any more.")
    async with accounts.database.transaction() as transaction:
        if not await provider_identities.remove(transaction.owned_by(by.user), provider.issuer):
            raise Conflict(f"Your account is not linked with {provider.name}.")
        await audit.record(transaction, by, "identity.unlink", "user", by.user, name=by.name, issuer=provider.issuer)


def _proof(user: User, state: str, at: int) -> str:
    """That a user's password was right at a moment, for one journey: nobody but the server knows the hash of it."""
    return hmac.new(user.password.encode(), f"link\n{user.id}\n{state}\n{at}".encode(), hashlib.sha256).hexdigest()


def _check_proof(accounts: Accounts, caller: Identity, journey: Journey) -> None:
    """Whether it was shown when the journey began that it is the user himself, which its cookie alone does not tell."""
    user = get(accounts, caller.user)
    right = _proof(user, journey.state, journey.begun_at)
    if not user.password:
        check_fresh(accounts, caller)
    elif not hmac.compare_digest(right.encode(), journey.proof.encode()) or now() - journey.begun_at > FRESH_MS:
        raise Refused("Linking an account begins with its password, not long ago. Begin anew.")


async def _link(
    transaction: Transaction,
    accounts: Accounts,
    provider: Provider,
    caller: Identity,
    claims: dict[str, Any],
    known: ProviderIdentity | None,
) -> User:
    user = get(accounts, caller.user)
    if known is not None and known.owner == user.id:
        return user
    scope = transaction.owned_by(user.id)
    own = [each for each in await provider_identities.of_owner(scope) if each.issuer == provider.issuer]
    if known is not None or own:
        raise Conflict(f"This account or that of {provider.name} is linked with another already.")
    await provider_identities.add(scope, _identity(user, provider, claims))
    await audit.record(transaction, caller, "identity.link", "user", user.id, name=user.name, issuer=provider.issuer)
    return user


async def _join(
    transaction: Transaction,
    accounts: Accounts,
    provider: Provider,
    rules: Rules,
    journey: Journey,
    claims: dict[str, Any],
    role: Role | None,
) -> User:
    if journey.invitation is None and not rules.sign_up:
        raise Refused(
            f"Nobody here is linked with this account of {provider.name}. Ask for an invitation, or sign in and link "
            "the account that you have."
        )
    invitation = None if journey.invitation is None else await accept(transaction, accounts, journey.invitation)
    given = role or ("member" if invitation is None else invitation.role)
    user = make(new_id("user_"), _free_name(accounts, claims), "", given)
    await join(transaction, accounts, user, invitation)
    await provider_identities.add(transaction.owned_by(user.id), _identity(user, provider, claims))
    await audit.record(
        transaction, identity_of_user(user), "identity.link", "user", user.id, name=user.name, issuer=provider.issuer
    )
    return user


def _identity(user: User, provider: Provider, claims: dict[str, Any]) -> ProviderIdentity:
    label = next(
        (claims[name] for name in ("email", "preferred_username", "name") if isinstance(claims.get(name), str)), None
    )
    return ProviderIdentity(user.id, provider.issuer, claims["sub"], label and label[:256], now(), now())


def _free_name(accounts: Accounts, claims: dict[str, Any]) -> str:
    """A name for somebody new, near to what the provider calls him, that nobody has or seems to have."""
    wanted = [claims.get(name) for name in ("preferred_username", "name", "nickname")]
    base = "user"
    for each in wanted:
        try:
            base = clean_name(each) if isinstance(each, str) else base
        except InvalidParameter:
            continue
        if base != "user":
            break
    for number in range(2, 10_000):
        name = base if number == 2 else f"{base[: LONGEST - 6]} {number - 1}"
        if accounts.directory.like(name_key(name), looks(name), None) is None:
            return name
    raise Conflict("There is no free name that is near to the provider's; ask an admin for an account.")


def _check_allowed(rules: Rules, claims: dict[str, Any]) -> None:
    """Whether this person may come in at all, today."""
    if rules.domains:
        address = claims.get("email")
        domain = address.rpartition("@")[2].lower() if isinstance(address, str) else ""
        if claims.get("email_verified") is not True or domain not in rules.domains:
            raise Refused("Only people with a verified e-mail address of certain domains may use this server.")
    if rules.groups and not rules.groups & set(_texts(claims.get(rules.groups_claim))):
        raise Refused("Only people of certain groups may use this server, and yours are not among them.")


def _role_of(rules: Rules, claims: dict[str, Any]) -> Role | None:
    """The highest role that the provider gives; None where it gives none."""
    if rules.role_claim is None:
        return None
    given = set(_texts(claims.get(rules.role_claim)))
    return next((role for role in ROLES if role in given), "member")


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def open_provider(settings: Settings) -> Provider | None:
    """The provider of the settings, if they name one.

    Raises:
        ConfigurationError: they are not whole, or nothing is installed that could check signatures.
    """
    if settings.oidc_issuer is None:
        if settings.password_sign_in:
            return None
        raise ConfigurationError(
            "Nobody could sign in: password_sign_in is off, and there is no oidc_issuer.", param="password_sign_in"
        )
    if not settings.oidc_client_id:
        raise ConfigurationError("oidc_issuer is set, and oidc_client_id is not.", param="oidc_client_id")
    if find_spec("jwt") is None or find_spec("cryptography") is None:
        raise ConfigurationError(
            "oidc_issuer is set, but PyJWT is not installed: pip install 'myna[oidc]'.", param="oidc_issuer"
        )
    return Provider(settings)
