"""Where a secret may send requests. Pure: names are not resolved here, the relay checks and pins what they resolve to."""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..providers.access import ADDRESSES

# Names that never leave the machine or the site, whatever a resolver makes of them.
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet", ".corp")
# MLflow refuses these words too: elsewhere they choose the destination, and only api_base is checked.
RESERVED = frozenset({"base_url", "api_url", "endpoint_url", "custom_endpoint", "proxy", "proxies", "aws_bedrock_runtime_endpoint"})


def fault(auth_config: Mapping[str, str], *, allow_private: bool) -> tuple[str, str] | None:
    """The field for which a secret with this auth_config is refused, and why; or None."""
    if reserved := sorted(RESERVED & auth_config.keys()):
        return reserved[0], f"auth_config must not contain '{reserved[0]}'. Set the upstream with 'api_base', which is checked."
    allow_private = allow_private or auth_config.get("allow_private", "").lower() == "true"
    for field in ADDRESSES:
        if field in auth_config and (found := _address_fault(field, auth_config[field], allow_private=allow_private)):
            return field, found
    return None


def _address_fault(field: str, address: str, *, allow_private: bool) -> str | None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port  # both raise on nonsense
    except ValueError:
        return f"Invalid Gateway secret {field}: it is not a URL."
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes:
        hint = (
            ""
            if allow_private
            else " The secret's allow_private or SPANGATE_ALLOW_PRIVATE_UPSTREAMS=true permits http and private addresses."
        )
        return f"Invalid Gateway secret {field} scheme: '{parts.scheme}'. Allowed schemes are: {', '.join(repr(s) for s in schemes)}.{hint}"
    if not host or re.search(r"[\s\\\x00-\x1f\x7f]", address):
        return f"Invalid Gateway secret {field}: it names no host."
    if parts.username is not None or parts.password is not None:
        return f"Invalid Gateway secret {field}: credentials belong into secret_value, not into the URL."
    if parts.query or parts.fragment:
        return f"Invalid Gateway secret {field}: a query or a fragment cannot be part of it."
    if not allow_private and _private(host):
        return (
            f"Invalid Gateway secret {field} host: '{host}' is not a public address."
            " The secret's allow_private or SPANGATE_ALLOW_PRIVATE_UPSTREAMS=true permits private ones."
        )
    return None


def _private(host: str) -> bool:
    name = host.rstrip(".").lower()
    if not name or name == "localhost" or name.endswith(PRIVATE_SUFFIXES):
        return True
    address = _address(name)
    if address is None:
        return "." not in name  # a bare word is a name of the local network
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or _nat64(address)
        if inner is not None and not inner.is_global:
            return True
    return not address.is_global or address.is_multicast


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return _loose_ipv4(name)


def _loose_ipv4(name: str) -> ipaddress.IPv4Address | None:
    """The forms that the C library's inet_aton takes: 127.1, 0x7f000001, 0177.0.0.1, 2130706433."""
    parts = name.split(".")
    if len(parts) > 4 or not all(re.fullmatch(r"0x[0-9a-f]*|[0-9]+", part) for part in parts):
        return None
    try:
        numbers = [
            int(part or "0", 16) if part.startswith("0x") else int(part, 8 if part[0] == "0" and len(part) > 1 else 10) for part in parts
        ]
    except ValueError:
        return ipaddress.IPv4Address(0)  # digits that are no number to anybody: not public
    value = 0
    for number in numbers[:-1]:
        value = value << 8 | (number & 0xFF)
    value = value << (8 * (5 - len(numbers))) | numbers[-1]
    return ipaddress.IPv4Address(value & 0xFFFFFFFF)
