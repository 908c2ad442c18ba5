"""What MLflow's UI asks before it shows a form: which providers there are, and what a secret for one of them holds."""

from ...providers import AuthMode, Provider, canonical, catalog
from ...store.faults import Invalid
from ..desk import Desk
from ..fields import WORDS
from ..policy import Policy
from .messages import AuthModeInfo, FieldInfo, GetProviderConfig, ListProviders, ProviderConfigReply, ProvidersReply
from .operations import Operation


def list_(desk: Desk, ask: ListProviders) -> ProvidersReply:
    return ProvidersReply(providers=list(catalog()))


def config(desk: Desk, ask: GetProviderConfig) -> ProviderConfigReply:
    provider = catalog().get(canonical(ask.provider))
    if provider is None:
        raise Invalid(f"Provider '{ask.provider}' is not one that this version can call. Those are: {', '.join(catalog())}.")
    return ProviderConfigReply(
        auth_modes=[_mode(provider, mode) for mode in provider.auth_modes],
        default_mode=provider.auth_modes[0].mode,
    )


def _mode(provider: Provider, mode: AuthMode) -> AuthModeInfo:
    return AuthModeInfo(
        mode=mode.mode,
        display_name=mode.title,
        description=f"{provider.title}: {mode.title}",
        secret_fields=[_field(provider, mode, name) for name in mode.secret_fields],
        config_fields=[_field(provider, mode, name) for name in mode.config_fields],
    )


def _field(provider: Provider, mode: AuthMode, name: str) -> FieldInfo:
    return FieldInfo(
        name=name,
        type="string",
        description=WORDS[name].together,
        required=name in provider.required(mode),
        default=mode.defaults.get(name),
    )


BASE = "/3.0/mlflow/gateway"
OPERATIONS = (
    Operation("GET", f"{BASE}/supported-providers", ListProviders, list_, Policy.viewer),
    Operation("GET", f"{BASE}/provider-config", GetProviderConfig, config, Policy.viewer),
)
