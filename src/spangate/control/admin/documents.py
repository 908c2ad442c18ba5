"""An endpoint in one document, as it is told and as it is asked for. What was told may be sent back as it is: what nobody can set is
passed over there."""

import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ...store.endpoints import MOST_ATTEMPTS
from .settings import Settings

MOST_TARGETS = 100
MOST_ALIASES = 1_000
MOST_TAGS = 100

WEIGHT = "Its part of the calls, beside the weights of the other primaries: 70 and 30, or 7 and 3. 0: none, unless all are 0."
MAX_ATTEMPTS = "Of one call, over all models and retries; null: until each was tried."
TRACKING = "Whether calls are traced. What they cost is in the ledger either way."


class Health(BaseModel):
    """Of a target, as the workers of this host see it."""

    state: Literal["ok", "resting"] = Field(description="resting: calls pass it over for a while, as it failed time and again.")
    seconds: float | None = Field(description="Until a call is let through to see how it is; 0: one is under way. null: it does not rest.")


class Target(BaseModel):
    """A model definition of an endpoint."""

    model_definition_id: str
    model_definition_name: str
    provider: str
    model: str = Field(description="The provider's own name of it.")
    secret_id: str | None
    secret_name: str | None
    health: Health


class Primary(Target):
    weight: float = Field(description=WEIGHT)
    share: float = Field(description="The same as a percentage of all calls.")


class ExperimentRef(BaseModel):
    id: str
    name: str


class Endpoint(BaseModel):
    """Everything of an endpoint."""

    endpoint_id: str
    name: str = Field(description="What clients send as `model`.")
    primaries: list[Primary] = Field(description="Each call goes to one of these, chosen by weight.")
    fallbacks: list[Target] = Field(description="For when those fail, in this order.")
    max_attempts: int | None = Field(description=MAX_ATTEMPTS)
    usage_tracking: bool = Field(description=TRACKING)
    experiment: ExperimentRef | None = Field(description="Where its traces go; null: nowhere yet, or the key may not see it.")
    settings: Settings
    aliases: list[str] = Field(description="Other names, and patterns of names, that mean this endpoint.")
    tags: dict[str, str]
    created_at: datetime.datetime
    updated_at: datetime.datetime = Field(
        description="Later with each change of the endpoint, its settings, aliases and tags; not of what the things are that it refers to."
    )
    created_by: str | None
    updated_by: str | None


class Endpoints(BaseModel):
    endpoints: list[Endpoint]


# ---------------------------------------------------------------- as it is asked for


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    TOLD: ClassVar[frozenset[str]] = frozenset()  # fields that are told and not taken

    @model_validator(mode="before")
    @classmethod
    def _as_told(cls, said: Any) -> Any:
        return {name: value for name, value in said.items() if name not in cls.TOLD} if isinstance(said, dict) else said  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


class NewSecret(Asked):
    """A credential of the target's provider, to be kept under a name. Targets that say the same name and content share it."""

    name: str
    values: dict[str, str] = Field(default={}, description="Sealed, and never told again: such as `api_key`.")
    auth_config: dict[str, str] = Field(default={}, description="In the open: such as `api_base`, `auth_mode`.")


class TargetAsked(Asked):
    """A model definition that is there, or a model of a provider with a credential: then a definition of that is used, or made."""

    TOLD = frozenset({"model_definition_name", "secret_name", "health", "share"})

    model_definition_id: str | None = Field(
        default=None, description="What else is said must agree with it. null: it is looked up, or made, by the rest."
    )
    provider: str | None = Field(default=None, description="The catalogue's name.")
    model: str | None = Field(default=None, description="The provider's own name of it.")
    secret_id: str | None = None
    secret: NewSecret | None = Field(default=None, description="Instead of secret_id: it is made with the endpoint.")


class PrimaryAsked(TargetAsked):
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False, description=WEIGHT)


class ExperimentAsked(Asked):
    """By its id, else by its name: then it is made if there is none."""

    id: str | None = None
    name: str | None = None


class EndpointAsked(Asked):
    """All that an endpoint is: what is left out is as its default says, also where it was otherwise before. The experiment alone stays."""

    TOLD = frozenset({"endpoint_id", "created_at", "created_by", "updated_by"})

    name: str = Field(description="What clients send as `model`: letters, digits, `_`, `-` and `.`.")
    primaries: list[PrimaryAsked] = Field(max_length=MOST_TARGETS, description="At least one.")
    fallbacks: list[TargetAsked] = Field(default=[], max_length=MOST_TARGETS, description="For when those fail, in this order.")
    max_attempts: Annotated[int | None, Field(ge=1, le=MOST_ATTEMPTS)] = Field(default=None, description=MAX_ATTEMPTS)
    usage_tracking: bool = Field(default=True, description=TRACKING)
    experiment: ExperimentAsked | None = Field(
        default=None, description="Where traces go. null: where they went before, else, if calls are traced, `gateway/<name>`."
    )
    settings: Settings = Field(default_factory=Settings)
    aliases: list[str] = Field(default=[], max_length=MOST_ALIASES)
    tags: dict[str, str] = Field(default={}, max_length=MOST_TAGS)


class EndpointReplaced(EndpointAsked):
    updated_at: AwareDatetime | None = Field(
        default=None, description="Of what was read: the answer is 409 if the endpoint has changed since. null: it is replaced anyhow."
    )


# ---------------------------------------------------------------- the secrets that its models use


class EndpointRef(BaseModel):
    endpoint_id: str
    name: str


class SecretDefinition(BaseModel):
    model_definition_id: str
    name: str
    provider: str
    model: str
    endpoints: list[EndpointRef]


class Secret(BaseModel):
    """What may be seen of a secret."""

    secret_id: str
    name: str
    provider: str | None = Field(description="The catalogue's name; null: whoever uses it says where it goes.")
    auth_mode: str | None = Field(description="Of the provider's; null: not known.")
    masked_values: dict[str, str] = Field(description="How each value begins and ends.")
    auth_config: dict[str, str]
    model_definitions: list[SecretDefinition] = Field(description="Those that use it: while there are any, it cannot be deleted.")
    endpoints: list[EndpointRef] = Field(description="Those that use these.")
    created_at: datetime.datetime
    updated_at: datetime.datetime
    created_by: str | None
    updated_by: str | None


class Secrets(BaseModel):
    secrets: list[Secret]


# ---------------------------------------------------------------- what depends on it


class KeyRef(BaseModel):
    key_id: str
    name: str
    only: bool = Field(description="It is limited to this endpoint alone: without it, it can call nothing.")


class BindingRef(BaseModel):
    resource_type: str
    resource_id: str
    display_name: str | None


class Uses(BaseModel):
    """Who would miss the endpoint."""

    aliases: list[str]
    keys: list[KeyRef] = Field(description="Keys in force that are limited to some endpoints, this one among them.")
    bindings: list[BindingRef]
    calls_day: int = Field(description="In the last 24 hours, rounded out to quarters of an hour.")
    calls_month: int = Field(description="In the last 30 days.")
    cost_month: str | None = Field(description="US dollars, of those. null: there were tokens, and nothing has a price.")
