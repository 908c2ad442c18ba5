"""Which fields a secret may have: those that its provider's row lists. Another one would be kept, shown, and never used. Pure."""

from collections.abc import Iterable

from ..providers import Provider

# Of every provider: which of its ways to prove who we are is meant, and whether private addresses may be called.
ANYWHERE = ("auth_mode", "allow_private")


def fault(provider: Provider | None, *, sealed: Iterable[str], open: Iterable[str]) -> str | None:
    """Why a secret with these names in secret_value and auth_config is refused, or None. A provider without a row may have any."""
    if provider is None:
        return None
    secret_fields = _listed(mode.secret_fields for mode in provider.auth_modes)
    config_fields = [*_listed(mode.config_fields for mode in provider.auth_modes), *ANYWHERE]
    for what, given, allowed in (("secret_value", sealed, secret_fields), ("auth_config", open, config_fields)):
        if unknown := sorted(set(given) - set(allowed)):
            names = f"those are: {', '.join(allowed)}" if allowed else "it has none"
            return f"'{unknown[0]}' is not a field of {what} for {provider.title}; {names}."
    return None


def _listed(fields: Iterable[Iterable[str]]) -> list[str]:
    """Each once, in the order of the row."""
    return list(dict.fromkeys(name for some in fields for name in some))
