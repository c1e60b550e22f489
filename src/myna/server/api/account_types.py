"""What crosses the wire about accounts; docs/application-api.md describes it. Times are Unix milliseconds."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from myna.server.api.types import Answer, Request, without_null

Role = Literal["owner", "admin", "member"]
Permission = Literal["all", "read", "inference"]


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must not be empty, and have letters, digits, marks and spaces only")
    return text.strip()


MAX_INSTRUCTIONS = 8_000
"""Characters: a few pages, which every chat's context can spare."""


def _trimmed(text: str) -> str:
    return without_null(text).strip()


Language = Literal["en", "de", "fr", "es", "zh", "ar"]
Theme = Literal["system", "light", "dark", "contrast"]
DisplayName = Annotated[str, Field(max_length=64), AfterValidator(_printable)]
Instructions = Annotated[str, Field(max_length=MAX_INSTRUCTIONS), AfterValidator(_trimmed)]
Secret = Annotated[str, Field(min_length=1, max_length=1024)]
Code = Annotated[str, Field(min_length=1, max_length=64)]
UserName = Annotated[str, Field(max_length=256)]
KeyName = Annotated[str, Field(max_length=64), AfterValidator(_printable)]
Requests = Annotated[int, Field(ge=0, le=2**31 - 1)]
Tokens = Annotated[int, Field(ge=0, le=2**53)]
Time = Annotated[int, Field(ge=0, le=2**53)]


class SignIn(Request):
    """Body of ``POST /api/session``."""

    name: UserName
    password: Secret
    code: Code | None = None


class SetUp(Request):
    """Body of ``POST /api/setup``; a token only where `Session.setup` says so."""

    name: UserName
    password: Secret
    token: Secret | None = None


class SignUp(Request):
    """Body of ``POST /api/sign-up``; ``invitation`` is the secret of its link."""

    name: UserName
    password: Secret
    invitation: Secret | None = None


class Password(Request):
    """The password once more, before something that only its user may do."""

    password: Secret


class Named(Password):
    """Body of ``POST /api/session/second-factor``."""

    name: UserName


class Confirmation(Password):
    """The password once more, and the second factor of who has one."""

    code: Code | None = None


class Proof(Request):
    """That it is still the user who asks; who has no password has signed in not long ago instead."""

    password: Secret | None = None
    code: Code | None = None


class NewCode(Request):
    """Body of ``POST /api/account/second-factor/confirm``."""

    code: Code


class InvitationLook(Request):
    """Body of ``POST /api/invitations/look``."""

    secret: Secret


class NewInvitation(Request):
    """Body of ``POST /api/invitations``."""

    role: Role = "member"
    expires_at: Time
    uses: int = Field(default=1, ge=1, le=1000)
    name: UserName | None = None


class ProviderJourney(Proof):
    """Body of ``POST /api/provider``; ``invitation`` is the secret of its link. To link takes a proof."""

    purpose: Literal["sign_in", "link"] = "sign_in"
    invitation: Secret | None = None


class ProviderReturn(Request):
    """Body of ``POST /api/provider/finish``: what the provider's address had."""

    code: Annotated[str, Field(min_length=1, max_length=4096)]
    state: Secret
    iss: Annotated[str, Field(max_length=512)] | None = None


class PasswordChange(Request):
    """Body of ``POST /api/account/password``."""

    old: Secret
    new: Secret


class PreferencesPatch(Request):
    """Body of ``PATCH /api/account/preferences``; with ``version`` refused if they have changed since."""

    version: int | None = Field(default=None, ge=0)
    display_name: DisplayName | None = None
    instructions: Instructions = ""
    language: Language | None = None
    theme: Theme | None = None


class NewKey(Request):
    """Body of ``POST /api/account/keys``; limits of the key beside its user's, null for none."""

    name: KeyName
    permission: Permission = "all"
    expires_at: Time | None = None
    requests_per_minute: Requests | None = None
    tokens_per_minute: Tokens | None = None


class KeyPatch(Request):
    """Body of ``PATCH /api/account/keys/{id}``."""

    name: KeyName = ""
    permission: Permission = "all"
    expires_at: Time | None = None
    requests_per_minute: Requests | None = None
    tokens_per_minute: Tokens | None = None


class SignedPasskey(Request):
    """Body of ``POST /api/passkeys/finish``: what ``navigator.credentials.get`` gave, as JSON."""

    credential: dict[str, JsonValue]


class PasskeyName(Request):
    """Body of ``PATCH /api/account/passkeys/{id}``."""

    name: KeyName


class NewPasskey(SignedPasskey, PasskeyName):
    """Body of ``POST /api/account/passkeys/finish``: what ``navigator.credentials.create`` gave."""


class NewUser(Request):
    """Body of ``POST /api/users``; without a password one is made up and answered once."""

    name: UserName
    role: Role = "member"
    password: Secret | None = None


class UserPatch(Request):
    """Body of ``PATCH /api/users/{id}``; ``password: true`` gives the user a new one, which is answered once."""

    name: UserName = ""
    role: Role = "member"
    disabled: bool = False
    password: Literal[True] = True
    requests_per_minute: Requests | None = None
    tokens_per_minute: Tokens | None = None
    tokens_per_day: Tokens | None = None


class Me(Answer):
    """Who is at the browser."""

    id: str
    name: str
    role: Role


class Session(Answer):
    """Answer to ``GET /api/session``: what a tab begins with. Without ``user`` it can sign in or set up."""

    version: str
    default_model: str
    user: Me | None
    list_cursor: int | None
    state: Literal["ready", "sign_in", "set_up"]
    setup: Literal["token", "open"] | None
    can_sign_out: bool
    sign_up: Literal["closed", "invitation", "open"]
    provider: str | None = None
    password_sign_in: bool = True
    passkeys: bool = False
    recovery_codes: list[str] | None = None


class Needs(Answer):
    """Answer to ``GET /api/account/confirmation``: what a proof must have."""

    password: bool
    code: bool
    seconds_left: int | None


class ProviderLocation(Answer):
    """Answer to ``POST /api/provider``: where the browser goes."""

    location: str


class ProviderLink(Answer):
    """Answer to ``GET /api/account/provider``; ``label`` is who one is there, null where nothing is linked."""

    name: str
    linked: bool
    label: str | None
    can_unlink: bool


class SecondFactor(Answer):
    """Answer to ``GET /api/account/second-factor``."""

    enabled: bool
    since: int | None
    codes_left: int
    required: bool


class PendingSecondFactor(Answer):
    """What an app is to learn; ``picture`` is a ``data:`` URL of ``address`` as a QR code."""

    secret: str
    address: str
    picture: str


class RecoveryCodes(Answer):
    """New recovery codes, which are shown this once."""

    recovery_codes: list[str]


class PasskeyOptions(Answer):
    """What a browser's authenticator is asked, as the specification writes it in JSON."""

    options: dict[str, JsonValue]


class Passkey(Answer):
    """A passkey as its user sees it; ``synced``: on more than one device."""

    id: str
    name: str
    site: str
    synced: bool
    created_at: int
    last_used_at: int | None


class PasskeyList(Answer):
    """Answer to ``GET /api/account/passkeys``."""

    passkeys: list[Passkey]


class InvitationState(Answer):
    """Answer to ``POST /api/invitations/look``: what who has its link may do."""

    state: Literal["open", "used", "expired", "revoked"]
    role: Role
    name: str | None
    expires_at: int


class Invitation(InvitationState):
    """An invitation as those see it who manage users; ``by`` is the name of who made it."""

    id: str
    uses: int
    most_uses: int
    created_at: int
    by: str


class MadeInvitation(Invitation):
    """A new invitation with the secret of its link, which is shown this once."""

    secret: str


class InvitationList(Answer):
    """Answer to ``GET /api/invitations``."""

    invitations: list[Invitation]


class Preferences(Answer):
    """What the user has chosen for himself."""

    display_name: str | None
    instructions: str
    language: str | None
    theme: str | None
    version: int


class Browser(Answer):
    """A session as its user sees it."""

    id: str
    created_at: int
    last_used_at: int
    expires_at: int
    method: Literal["password", "provider", "passkey"]
    agent: str | None
    address: str | None
    current: bool


class BrowserList(Answer):
    """Answer to ``GET /api/account/sessions``."""

    sessions: list[Browser]


class Key(Answer):
    """An API key as its user sees it."""

    id: str
    name: str
    prefix: str
    permission: Permission
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None


class MadeKey(Key):
    """A new key with its secret, which is shown this once."""

    secret: str


class KeyList(Answer):
    """Answer to ``GET /api/account/keys``."""

    keys: list[Key]


class Limits(Answer):
    """Limits that count: a user's own, or else the server's."""

    requests_per_minute: int
    tokens_per_minute: int
    tokens_per_day: int


class User(Answer):
    """A user as those see him who manage users."""

    id: str
    name: str
    role: Role
    disabled: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    created_at: int
    last_seen_at: int | None
    second_factor: bool = False


class MadeUser(User):
    """A user, with the password that was made up, if one was; it is shown this once."""

    password: str | None


class KnownUser(User):
    """A user in the list, with the limits that count for him (0: none) and the tokens of today."""

    limits: Limits
    tokens_today: int
    passkeys: int


class UserList(Answer):
    """Answer to ``GET /api/users``: a page, how many are found in all, and ``after`` of the next page."""

    users: list[KnownUser]
    total: int
    next: str | None


class DayUsage(Answer):
    """What was used on a day of UTC, of one model, with one key (null: in the browser)."""

    day: date
    model: str
    key: Annotated[str | None, BeforeValidator(lambda key: key or None)]
    requests: int
    prompt_tokens: int
    completion_tokens: int
    timed_tokens: int
    timed_milliseconds: int


class UsageList(Answer):
    """Answer of ``GET /api/account/usage``."""

    usage: list[DayUsage]
