"""A catalogue row and an opened credential, made ready to call. What is missing becomes `problem`, said to the one who calls."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import msgspec

from .rows import AuthMode, Provider

# The fields that say where requests go: whoever takes a secret in checks them as it checks api_base.
ADDRESSES = ("api_base", "authority_host")

_FIELD = re.compile(r"\{(\w+)\}")


class ClientCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is fetched with (RFC 6749, 4.4). Lives in memory only."""

    url: str
    client_id: str
    client_secret: str
    scope: str
    client: str  # body | basic


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where to call and what to show there."""

    urls: Mapping[str, str] = {}  # wire format -> full URL
    base_url: str = ""
    headers: Mapping[str, str] = {}  # proof of who we are, and fixed ones; lower-case names
    grant: ClientCredentials | None = None  # the proof is a token, fetched with this
    usage_in_stream: str = "always"
    client_gone: str = "close"
    allow_private: bool = False  # this credential may be taken to loopback and private addresses
    in_process: bool = False
    problem: str | None = None  # why it cannot be called


def access(
    rows: Mapping[str, Provider], name: str, auth_config: Mapping[str, str], secret: Mapping[str, str], *, model: str = ""
) -> Access:
    """`auth_config` is the open part of a secret, `secret` the opened one; `model` is the provider's own name of the model."""
    provider = rows.get(name)
    if provider is None:
        return Access(problem=f"Provider '{name}' is not one that this version can call.")
    mode = mode_of(provider, auth_config, secret)
    if isinstance(mode, str):
        return Access(problem=mode)
    given = _given(mode, auth_config, secret)
    # As in MLflow, api_base replaces the base URL with its version segment.
    base = _trimmed(given.get("api_base") or provider.base_url or "", provider.trims)
    problem = _problem(provider, mode, base, given)
    spoken = next((variant.formats for variant in provider.variants if given.get(variant.when)), provider.formats)
    in_path = {field: quote(value, safe="") for field, value in (given | {"model": model}).items() if field not in mode.secret_fields}
    return Access(
        urls={format: base + _filled(path, in_path) for format, path in spoken.items()},
        base_url=base,
        headers={} if problem else _fixed(provider, given) | _proof(provider, mode, given),
        grant=None if problem else _grant(mode, given, base),
        usage_in_stream=provider.usage_in_stream,
        client_gone=provider.client_gone,
        # The row's own address is known to be private; another one is for the secret to vouch for.
        allow_private=auth_config.get("allow_private", "").lower() == "true" or (provider.allow_private and base == provider.base_url),
        in_process=provider.in_process,
        problem=problem,
    )


def lacking(provider: Provider, auth_config: Mapping[str, str], secret: Mapping[str, str]) -> list[str]:
    """The fields without which this credential cannot be used, in the row's order; `auth_mode` if that names none of the row's."""
    mode = mode_of(provider, auth_config, secret)
    if isinstance(mode, str):
        return ["auth_mode"]
    missing = provider.required(mode) - _given(mode, auth_config, secret).keys()
    return [field for field in (*mode.secret_fields, *mode.config_fields) if field in missing]


def mode_of(provider: Provider, auth_config: Mapping[str, str], secret: Mapping[str, str]) -> AuthMode | str:
    """The one that the secret names, else the first that has all it needs, else the first; or why there is none."""
    named = auth_config.get("auth_mode")
    if named:
        modes = [mode.mode for mode in provider.auth_modes]
        if named not in modes:
            return f"The auth_mode '{named}' is not one of {provider.title}'s, which are {', '.join(modes)}."
        return provider.auth_modes[modes.index(named)]
    for mode in provider.auth_modes:
        if provider.required(mode) <= _given(mode, auth_config, secret).keys():
            return mode
    return provider.auth_modes[0]


def _given(mode: AuthMode, auth_config: Mapping[str, str], secret: Mapping[str, str]) -> dict[str, str]:
    """The fields of the mode that have a value. What is sealed is never taken from the open part, nor the other way."""
    open_ = {field: auth_config.get(field, "") for field in mode.config_fields}
    sealed = {field: secret.get(field, "") for field in mode.secret_fields}
    said = {field: value.strip() for field, value in (open_ | sealed).items() if value.strip()}
    return mode.defaults | said


def _trimmed(base: str, ends: tuple[str, ...]) -> str:
    base = base.strip().rstrip("/")
    return next((base.removesuffix(end).rstrip("/") for end in ends if base.endswith(end)), base)


def _problem(provider: Provider, mode: AuthMode, base: str, given: Mapping[str, str]) -> str | None:
    if not base:
        return f"{provider.title} has no base URL of its own: set api_base in the secret's auth_config."
    addresses = {} if provider.in_process else {field: given[field] for field in ADDRESSES if field in given} | {"api_base": base}
    for field, address in addresses.items():
        if not _base_url(address):
            return f"The {field} for {provider.title} is not a base URL: it must be https://host/path, without user, query and fragment."
    missing = provider.required(mode) - given.keys()
    for field in (*mode.secret_fields, *mode.config_fields):
        if field in missing:
            where = "the model definition has no secret, or the secret is empty" if field in mode.secret_fields else "set it in auth_config"
            return f"There is no {field} for {provider.title}: {where}."
    for field, value in given.items():
        if not all("!" <= char <= "~" for char in value) and not (field in _worded(provider) and _printable(value)):
            return f"The {field} for {provider.title} holds a space, a line end or another character that no header may carry."
    return None


def _worded(provider: Provider) -> set[str]:
    """The fields whose header may hold more than one word, such as JSON."""
    return {field for header in provider.headers.values() for field in _FIELD.findall(header)}


def _printable(value: str) -> bool:
    return all(" " <= char <= "~" for char in value)


def _fixed(provider: Provider, given: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _filled(value, given) for name, value in provider.headers.items() if all(field in given for field in _FIELD.findall(value))
    }


def _proof(provider: Provider, mode: AuthMode, given: Mapping[str, str]) -> dict[str, str]:
    shown, key = mode.auth or provider.auth, given.get(mode.key)
    if not key or mode.token is not None or shown == "none":
        return {}
    return {"authorization": f"Bearer {key}"} if shown == "bearer" else {shown: key}


def _grant(mode: AuthMode, given: Mapping[str, str], base: str) -> ClientCredentials | None:
    if mode.token is None:
        return None
    in_path = {field: value.rstrip("/") if field in ADDRESSES else quote(value, safe="") for field, value in given.items()}
    return ClientCredentials(
        url=_filled(mode.token.url, in_path | {"base": base}),
        client_id=given["client_id"],
        client_secret=given["client_secret"],
        scope=_filled(mode.token.scope, given),
        client=mode.token.client,
    )


def _filled(template: str, fields: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda field: fields[field[1]], template)


def _base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        named = url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    # A credential in the URL would end up in logs and traces; what stands behind ? or # would swallow the path.
    return named and url.username is None and url.password is None and not url.query and not url.fragment
