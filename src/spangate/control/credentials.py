"""Which credentials are taken in: of providers that there are, with the fields that their rows list, for addresses that may be called.

Another field would be kept, shown, and never used.
"""

from collections.abc import Iterable, Iterator, Mapping

from ..providers import Provider, canonical, catalog, lacking, mode_of
from ..store.faults import FieldFault, Invalid
from . import upstreams

# Of every provider: which of its ways to prove who we are is meant, and whether private addresses may be called.
ANYWHERE = ("auth_mode", "allow_private")


def known(provider: str) -> str:
    """The catalogue's name of a provider. Raises Invalid if this version cannot call it."""
    if canonical(provider) not in catalog():
        raise Invalid(f"Provider '{provider}' is not one that this version can call. Those are: {', '.join(sorted(catalog()))}.")
    return canonical(provider)


def faults(
    provider: Provider | None, *, sealed: Mapping[str, str], open: Mapping[str, str], allow_private: bool, whole: bool = False
) -> Iterator[FieldFault]:
    """What is wrong with a credential: its fields are `values.…`, which are sealed, and `auth_config.…`, in the open. `whole`: also
    what it lacks to be used."""
    if found := upstreams.fault(open, allow_private=allow_private):
        yield FieldFault(f"auth_config.{found[0]}", found[1])
    yield from unknown(provider, sealed=sealed, open=open)
    if whole and provider is not None:
        mode = mode_of(provider, open, sealed)
        for field in lacking(provider, open, sealed):
            if isinstance(mode, str):
                yield FieldFault(f"auth_config.{field}", mode)
            else:
                place = "values" if field in mode.secret_fields else "auth_config"
                yield FieldFault(f"{place}.{field}", f"{provider.title} needs it ({mode.title}).")


def unknown(provider: Provider | None, *, sealed: Iterable[str], open: Iterable[str]) -> Iterator[FieldFault]:
    """The fields that the provider's row does not have. A provider without a row may have any."""
    if provider is None:
        return
    secret_fields = _listed(mode.secret_fields for mode in provider.auth_modes)
    config_fields = [*_listed(mode.config_fields for mode in provider.auth_modes), *ANYWHERE]
    for place, what, given, allowed in (
        ("values", "secret_value", sealed, secret_fields),
        ("auth_config", "auth_config", open, config_fields),
    ):
        names = f"those are: {', '.join(allowed)}" if allowed else "it has none"
        for field in sorted(set(given) - set(allowed)):
            yield FieldFault(f"{place}.{field}", f"'{field}' is not a field of {what} for {provider.title}; {names}.")


def _listed(fields: Iterable[Iterable[str]]) -> list[str]:
    """Each once, in the order of the row."""
    return list(dict.fromkeys(name for some in fields for name in some))
