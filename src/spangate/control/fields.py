"""What the fields of a secret are to a person who fills in a form."""

from typing import NamedTuple

from ..providers import AuthMode, Provider


class Words(NamedTuple):
    label: str
    help: str = ""
    placeholder: str = ""

    @property
    def together(self) -> str:
        return f"{self.label} ({self.help})" if self.help else self.label


WORDS = {
    "api_key": Words("API key"),
    "api_base": Words("Base URL", "with its version segment"),
    "api_version": Words("Dated API version", "without one the v1 API is called", "2024-10-21"),
    "authority_host": Words("Microsoft Entra ID's address", "sovereign clouds have others"),
    "azure_ad_token": Words("Microsoft Entra ID token"),
    "client_id": Words("Client ID", "of the service principal"),
    "client_secret": Words("Client secret", "of the service principal"),
    "http_referer": Words("Address of the application", "for OpenRouter's rankings", "https://example.com"),
    "organization": Words("Organization ID", "for keys that belong to more than one", "org-..."),
    "portkey_config": Words("Config", "its ID, or the config itself as JSON", "pc-..."),
    "portkey_provider": Words("Provider to route to", "a slug", "@openai-prod"),
    "portkey_virtual_key": Words("Virtual key"),
    "project": Words("Project ID", "for keys that belong to more than one", "proj_..."),
    "provider_api_key": Words("API key of the provider behind Portkey"),
    "scope": Words("Scope of the token", "sovereign clouds have others"),
    "tenant_id": Words("Tenant ID", "of Microsoft Entra ID", "00000000-0000-0000-0000-000000000000"),
    "x_title": Words("Name of the application", "for OpenRouter's rankings"),
}
PRIVATE = Words("May be a private address", "a server on this machine or network, also by http")


def placeholder(provider: Provider, mode: AuthMode, field: str) -> str:
    """What the field looks like, or is if it is left out."""
    base = provider.base_url or provider.example_base or ""
    return mode.defaults.get(field) or (base if field == "api_base" else WORDS[field].placeholder)
