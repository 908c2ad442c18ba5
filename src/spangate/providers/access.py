"""A catalogue row and an opened credential, made ready to call. What is missing becomes `problem`, said to the one who calls."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from .rows import Provider


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where to call and what to show there."""

    urls: Mapping[str, str] = {}  # wire format -> full URL
    headers: Mapping[str, str] = {}  # proof of who we are, and fixed ones; lower-case names
    usage_in_stream: str = "always"
    allow_private: bool = False  # this credential may be taken to loopback and private addresses
    in_process: bool = False
    problem: str | None = None  # why it cannot be called


def access(rows: Mapping[str, Provider], name: str, auth_config: Mapping[str, str], secret: Mapping[str, str]) -> Access:
    """`auth_config` is the open part of a secret, `secret` the opened one."""
    provider = rows.get(name)
    if provider is None:
        return Access(problem=f"Provider '{name}' is not one that this version can call.")
    # As in MLflow, api_base replaces the base URL with its version segment.
    given = None if provider.in_process else auth_config.get("api_base")
    base = (given or provider.base_url or "").strip().rstrip("/")
    key = secret.get("api_key", "").strip()
    problem = _problem(provider, base, key)
    return Access(
        urls={format: base + path for format, path in provider.formats.items()},
        headers={} if problem else {**provider.headers, **_proof(provider, key)},
        usage_in_stream=provider.usage_in_stream,
        allow_private=auth_config.get("allow_private", "").lower() == "true",
        in_process=provider.in_process,
        problem=problem,
    )


def _problem(provider: Provider, base: str, key: str) -> str | None:
    if not base:
        return f"{provider.title} has no base URL of its own: set api_base in the secret's auth_config."
    if not provider.in_process and not _base_url(base):
        return f"The api_base for {provider.title} is not a base URL: it must be https://host/path, without user, query and fragment."
    if provider.auth != "none" and not key and not provider.key_optional:
        return f"There is no api_key for {provider.title}: the model definition has no secret, or the secret is empty."
    if not all("!" <= char <= "~" for char in key):
        return f"The api_key for {provider.title} holds a space, a line end or another character that no header may carry."
    return None


def _proof(provider: Provider, key: str) -> dict[str, str]:
    if not key or provider.auth == "none":
        return {}
    if provider.auth == "bearer":
        return {"authorization": f"Bearer {key}"}
    return {"x-api-key": key}


def _base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        named = url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    # A credential in the URL would end up in logs and traces; what stands behind ? or # would swallow the path.
    return named and url.username is None and url.password is None and not url.query and not url.fragment
