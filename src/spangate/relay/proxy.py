"""What the raw proxy lets through: a method and a path that the endpoint allows, in the one form in which they are checked and sent.

A path that two servers could read as two paths is refused, so it can never leave the provider's base URL. Pure.
"""

import re
import unicodedata
from urllib.parse import quote, unquote, unquote_to_bytes

import msgspec

from spangate.exchange import Inbound, ProxyRules, Route, Target
from spangate.wire.formats import FORMATS, raw
from spangate.wire.problems import Refusal

from .peek import peek
from .peek_gemini import FORMATS as OF_METHODS
from .peek_gemini import METHODS

LONGEST = 8192  # characters of a path or a query; most servers take no more

# RFC 3986's pchar, less what is always written in percent: these stand in a path as they are.
_PLAIN_IN_PATH = "!$&'()*+,;=:@-._~"
_PLAIN_IN_QUERY = _PLAIN_IN_PATH.replace("&", "").replace("+", "").replace("=", "").replace(";", "") + "/?"
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_ENDS = re.compile(r"[;?#]")
_DEPTH = 8  # times that a segment is decoded in search of what hides in it

# Where a credential goes in some provider's query. Ours goes up in a header, and the client's is not the provider's business.
_CREDENTIALS = frozenset(
    {
        "key",
        "api_key",
        "apikey",
        "x_api_key",
        "x_goog_api_key",
        "access_token",
        "accesstoken",
        "auth_token",
        "authtoken",
        "id_token",
        "refresh_token",
        "token",
        "oauth_token",
        "auth",
        "authorization",
        "bearer",
        "password",
        "passwd",
        "secret",
        "client_secret",
        "subscription_key",
        "sig",
        "signature",
        "credential",
        "x_amz_signature",
        "x_amz_credential",
        "x_amz_security_token",
    }
)


def proxied(inbound: Inbound, found: Route) -> tuple[Inbound, Route]:
    """The request as it will be sent, and the endpoint with the targets that it may be sent to, once. Raises Refusal.

    `inbound.suffix` is the path as it came, from its slash on. Where the path is that of a format which a target speaks, the call
    is of that format, and counted; all else passes unread.
    """
    rules = found.settings.proxy
    if rules is None:
        raise Refusal(403, "proxy_off", f"Endpoint '{found.name}' does not allow the raw proxy: its setting `proxy` says what may pass.")
    path = normalised(inbound.suffix)
    if not allowed(rules, inbound.method, path):
        raise Refusal(
            403,
            "proxy_not_allowed",
            f"Endpoint '{found.name}' does not let {inbound.method} {path[:200]} through the raw proxy: it allows "
            f"{', '.join(rules.methods) or 'no method'} on {', '.join(rules.paths)[:500] or 'no path'}.",
        )
    query = query_up(inbound.query)
    known = spoken(found, path) if inbound.method == "POST" else None
    if known is not None:
        format, suffix = known
        stream = METHODS[suffix[1:]][1] if suffix else _streams(inbound.body)
        seen = msgspec.structs.replace(inbound, format=format, suffix=suffix, query=query, stream=stream)
        # As with any raw call, the body is the client's: what was not asked for in it is not asked for.
        targets = tuple(_as_it_is(target) for target in found.targets)
    else:
        seen = msgspec.structs.replace(inbound, suffix=path, query=query)
        targets = tuple(_anywhere(target) for target in found.targets)
    # What a raw call does is not known, so nobody can say that it may be done twice.
    return seen, msgspec.structs.replace(found, targets=targets, max_attempts=1)


def normalised(path: str) -> str:
    """The path, each segment decoded once and encoded again in the one canonical way. Raises Refusal(400)."""
    if not path.startswith("/"):
        raise _bad("it does not start with a slash")
    if len(path) > LONGEST:
        raise _bad(f"it is longer than {LONGEST} characters")
    *segments, last = path[1:].split("/")
    if "" in segments:
        raise _bad("it has an empty segment")
    return "/" + "/".join(quote(_decoded(segment), safe=_PLAIN_IN_PATH) for segment in (*segments, last))


def _decoded(segment: str) -> str:
    if not segment.isascii() or _PERCENT.search(segment):
        raise _bad("it is not percent-encoded as it should be")
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise _bad("it is not UTF-8") from None
    # Some servers decode twice, or fold what looks like a dot or a slash: what they would see is looked at too.
    seen = text
    for _ in range(_DEPTH):
        _look(seen)
        further = unquote(seen)
        if further == seen:
            return text
        seen = further
    raise _bad("it is encoded again and again")


def _look(segment: str) -> None:
    plain = unicodedata.normalize("NFKC", segment)
    if any(char in "/\\" for char in segment + plain):
        raise _bad("a segment holds a slash or a backslash")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in segment):
        raise _bad("it holds a control character")
    # `..;x` is `..` with a parameter to some servers, and `..?` the end of the path to those that decode twice.
    if _PATH_ENDS.split(plain)[0].strip() in (".", ".."):
        raise _bad("it holds a `.` or `..` segment")


def _bad(why: str) -> Refusal:
    return Refusal(400, "bad_proxy_path", f"This path cannot be passed on: {why}.")


def allowed(rules: ProxyRules, method: str, path: str) -> bool:
    """`path` is normalised, as the rules are when they are set: both are compared in the same form."""
    if method not in rules.methods:
        return False
    return any(path == rule or (rule.endswith("/*") and path.startswith(rule[:-1])) for rule in rules.paths)


def query_up(query: str) -> str:
    """The client's query without what looks like a credential, each part decoded once and encoded again."""
    if len(query) > LONGEST:
        raise Refusal(400, "bad_proxy_query", f"The query is longer than {LONGEST} characters.")
    return "&".join(_canonical(part) for part in query.split("&") if part and not _credential(part))


def _credential(part: str) -> bool:
    # `a=1;key=2` is two parts to some servers.
    names = (piece.partition("=")[0] for piece in part.split(";"))
    return any(_name(name) in _CREDENTIALS for name in names)


def _name(name: str) -> str:
    for _ in range(_DEPTH):
        further = unquote(name.replace("+", " "))
        if further == name:
            break
        name = further
    return unicodedata.normalize("NFKC", name).strip().lower().replace("-", "_").partition("[")[0]


def _canonical(part: str) -> str:
    name, equals, value = part.partition("=")
    return _again(name) + equals + _again(value)


def _again(text: str) -> str:
    # A plus is a blank in a query, and stays what it is.
    return "+".join(quote(unquote_to_bytes(piece), safe=_PLAIN_IN_QUERY) for piece in text.split("+"))


def spoken(found: Route, path: str) -> tuple[str, str] | None:
    """The format whose URL lies at the path, at the first target that has one there; and what Gemini's paths add to it, the method."""
    model, colon, method = path.rpartition(":")
    of_gemini, _ = METHODS.get(method, (None, False))
    for target in found.targets:
        for format, url in target.formats.items():
            if format not in FORMATS or not target.base_url:
                continue
            place = url.partition("?")[0]
            if format == of_gemini and place == target.base_url + model:
                return format, colon + method
            if place == target.base_url + path and format not in OF_METHODS:
                return format, ""
    return None


def _streams(body: bytes) -> bool:
    """Whether the body asks for a stream; what cannot be read is the provider's to judge."""
    try:
        return peek(body).stream
    except Refusal:
        return False


def _as_it_is(target: Target) -> Target:
    return msgspec.structs.replace(target, usage_in_stream="always")


def _anywhere(target: Target) -> Target:
    formats = {raw.NAME: target.base_url} if target.base_url and not target.in_process else {}
    return msgspec.structs.replace(target, formats=formats)
