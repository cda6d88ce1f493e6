"""Who the user is on a hub."""

from __future__ import annotations

import msgspec

from ivyhub.errors import AuthorisationError, OfflineError, UsageError
from ivyhub.registry.names import is_offline
from ivyhub.registry.remote import hub_endpoint, hub_errors

_HINT = "log in with `ivyhub login`, or set HF_TOKEN"
_UNREACHED = "set HF_ENDPOINT to a server that can be reached"


class Account(msgspec.Struct, frozen=True):
    """A user of a hub, and the organisations that they belong to."""

    name: str
    organisations: list[str]
    hub: str


def who_am_i(token: str | None = None) -> Account:
    """The account of a token; by default of the one that the Hub client finds.

    Raises:
        AuthorisationError: there is no token, or the server refuses it.
        OfflineError, NetworkError: the server cannot be asked.
    """
    from huggingface_hub import HfApi, get_token

    token = token or get_token()
    if token is None:
        raise AuthorisationError("nobody is logged in", hint=_HINT)
    hub = hub_endpoint() or "the Hugging Face Hub"
    if is_offline():
        raise OfflineError(f"cannot ask {hub}: offline was asked for", hint="unset IVYHUB_OFFLINE")
    with hub_errors(hub, None, _UNREACHED):
        found = HfApi(endpoint=hub_endpoint()).whoami(token=token)
    return Account(str(found["name"]), [str(each["name"]) for each in found.get("orgs", [])], hub)


def log_in(token: str) -> Account:
    """Keep a token where the Hub client finds it, once the server has accepted it.

    Raises:
        UsageError: it is no token.
        AuthorisationError, OfflineError, NetworkError: as `who_am_i`. Nothing is kept then.
    """
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise UsageError("expected a token of letters, digits and '_'", hint="they begin with hf_")
    account = who_am_i(token)
    from huggingface_hub import login

    with hub_errors(account.hub, None, _UNREACHED):
        login(token=token, add_to_git_credential=False)
    return account
