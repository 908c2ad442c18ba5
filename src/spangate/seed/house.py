"""Who calls what: models of several providers, the endpoints over them, and keys with the people and teams that they are billed to."""

from collections.abc import Iterator
from random import Random

from msgspec import Struct
from sqlalchemy import Connection

from ..envelope import Keyring, Pepper
from ..store import endpoints, experiments, keys, models, secrets
from ..store.endpoints import FALLBACK, EndpointModel, Fallback


class Model(Struct, frozen=True, kw_only=True):
    """`answers`: the name that the provider gives back. Chances are of one answer each."""

    name: str
    provider: str
    answers: str
    tokens_a_second: int
    tier: str | None = None
    caches: float = 0.0  # chance that a part of the prompt is read from a cache
    writes: bool = False  # what is not read is written, and paid for
    thinks: bool = False
    counts: bool = True  # False: the provider says nothing of tokens


MODELS = {
    model.name: model
    for model in (
        Model(name="gpt-5", provider="openai", answers="gpt-5-2025-08-07", tokens_a_second=70, tier="default", caches=0.4, thinks=True),
        Model(name="gpt-5-mini", provider="openai", answers="gpt-5-mini-2025-08-07", tokens_a_second=110, tier="default", caches=0.4),
        Model(name="gpt-4o-mini", provider="openai", answers="gpt-4o-mini-2024-07-18", tokens_a_second=120, tier="default", caches=0.3),
        Model(name="text-embedding-3-small", provider="openai", answers="text-embedding-3-small", tokens_a_second=4000),
        Model(
            name="claude-sonnet-4-5",
            provider="anthropic",
            answers="claude-sonnet-4-5-20250929",
            tokens_a_second=65,
            tier="standard",
            caches=0.6,
            writes=True,
        ),
        Model(
            name="claude-haiku-4-5",
            provider="anthropic",
            answers="claude-haiku-4-5-20251001",
            tokens_a_second=140,
            tier="standard",
            caches=0.5,
            writes=True,
        ),
        Model(name="gemini-2.5-flash", provider="gemini", answers="gemini-2.5-flash", tokens_a_second=180, caches=0.2, thinks=True),
        Model(name="gemini-2.5-pro", provider="gemini", answers="gemini-2.5-pro", tokens_a_second=80, caches=0.2, thinks=True),
        Model(name="deepseek-chat", provider="deepseek", answers="deepseek-chat", tokens_a_second=40, caches=0.5),
        Model(name="mistral-small-latest", provider="mistral", answers="mistral-small-latest", tokens_a_second=130),
        Model(name="qwen3-32b-inhouse", provider="vllm", answers="qwen3-32b-inhouse", tokens_a_second=45),  # nobody knows its price
        Model(name="llama3.2", provider="ollama", answers="llama3.2", tokens_a_second=25, counts=False),
    )
}


class Plan(Struct, frozen=True, kw_only=True):
    """An endpoint. `share` of all calls; `models` with their weights."""

    name: str
    share: float
    models: dict[str, float]
    fallback: str | None = None
    format: str = "openai.chat"  # that its clients speak
    unified: bool = False  # or MLflow's own, over this one
    experiment: str | None = None  # its name; None: one of its own
    tracked: bool = True
    streams: float = 0.4  # chance
    talks: float = 0.5  # chance that a call goes on with a conversation
    asks: int = 400  # tokens of a prompt, in the median
    says: int = 180


PLANS = (
    Plan(
        name="support",
        share=22,
        models={"gpt-5-mini": 4, "gpt-4o-mini": 1},
        fallback="deepseek-chat",
        experiment="assistants",
        streams=0.8,
        talks=0.8,
    ),
    Plan(
        name="sales-assistant",
        share=9,
        models={"gpt-5-mini": 1},
        fallback="gpt-4o-mini",
        unified=True,
        experiment="assistants",
        streams=0.7,
    ),
    Plan(
        name="code-review",
        share=13,
        models={"claude-sonnet-4-5": 1},
        fallback="claude-haiku-4-5",
        format="anthropic.messages",
        streams=0.9,
        talks=0.7,
        asks=2200,
        says=500,
    ),
    Plan(name="search-answers", share=14, models={"gemini-2.5-flash": 1}, fallback="gemini-2.5-pro", format="gemini.generate", asks=900),
    Plan(name="research", share=3, models={"gpt-5": 1}, asks=4000, says=900, streams=0.6),
    Plan(name="summaries", share=8, models={"gpt-4o-mini": 2, "mistral-small-latest": 1}, streams=0.05, talks=0.0, asks=1500),
    Plan(name="translate", share=6, models={"mistral-small-latest": 3, "deepseek-chat": 1}, fallback="gpt-4o-mini", streams=0.1, talks=0.1),
    Plan(name="embeddings", share=12, models={"text-embedding-3-small": 1}, format="openai.embeddings", streams=0.0, talks=0.0, says=0),
    Plan(name="sql-helper", share=2, models={"deepseek-chat": 1, "gpt-5-mini": 1}, experiment="data"),
    Plan(name="inhouse", share=5, models={"qwen3-32b-inhouse": 1}, fallback="deepseek-chat", experiment="data", streams=0.5),
    Plan(name="laptop", share=1, models={"llama3.2": 1}, streams=0.9),
    Plan(name="batch-labels", share=5, models={"gpt-4o-mini": 1}, tracked=False, streams=0.0, talks=0.0, says=20),
)

_TEAMS = {
    "support": ("ann", "bela", "chidi", "dora"),
    "platform": ("erik", "fatou", "goran"),
    "search": ("hana", "ines"),
    "data": ("jonas", "kofi", "lin"),
    "sales": ("mara", "nuno"),
    "labs": ("olga",),
}
_USES = ("laptop", "service", "ci")
_AGENTS = ("OpenAI/Python", "Anthropic/Python", "claude-cli", "codex_cli_rs", "google-genai-sdk", "python-httpx", "okhttp", "MyApp")
BY = "seed"
SECRET = "not-a-real-key"  # noqa: S105  it opens nothing
DAY = 86_400_000  # ms


class Key(Struct, frozen=True, kw_only=True):
    key_id: str
    name: str
    owner: str | None
    team: str | None
    agent: str


class Target(Struct, frozen=True, kw_only=True):
    model: Model
    model_definition_id: str
    secret_id: str


class Endpoint(Struct, frozen=True, kw_only=True):
    """`keys`: who calls it."""

    plan: Plan
    endpoint_id: str
    experiment_id: str | None
    targets: tuple[Target, ...]
    weights: tuple[float, ...]
    fallback: Target | None
    keys: tuple[Key, ...]


class House(Struct, frozen=True, kw_only=True):
    endpoints: tuple[Endpoint, ...]


def build(connection: Connection, keyring: Keyring, pepper: Pepper, rng: Random, now: int) -> House:
    """All of it, through the doors that people use. `now`: ms, when the history begins."""
    made = {name: _secret(connection, keyring, name, now) for name in dict.fromkeys(model.provider for model in MODELS.values())}
    targets = {
        model.name: Target(
            model=model,
            secret_id=made[model.provider],
            model_definition_id=models.create(
                connection,
                name=model.name,
                secret_id=made[model.provider],
                provider=model.provider,
                model_name=model.name,
                by=BY,
                now=now,
            ).model_definition_id,
        )
        for model in MODELS.values()
    }
    callers = tuple(_keys(connection, pepper, rng, now))
    shared: dict[str, str] = {}
    for plan in PLANS:
        if plan.experiment and plan.experiment not in shared:
            shared[plan.experiment] = experiments.create(connection, name=plan.experiment, now=now)
    return House(endpoints=tuple(_endpoint(connection, plan, targets, shared, callers, rng, now) for plan in PLANS))


def _secret(connection: Connection, keyring: Keyring, provider: str, now: int) -> str:
    values = {"api_key": f"{SECRET}-{provider}"}
    settings = {"vllm": {"api_base": "http://127.0.0.1:8000/v1"}, "ollama": {"api_base": "http://127.0.0.1:11434/v1"}}.get(provider)
    return secrets.create(
        connection, keyring, name=f"{provider}-seed", values=values, provider=provider, auth_config=settings, by=BY, now=now
    ).secret_id


def _endpoint(
    connection: Connection,
    plan: Plan,
    targets: dict[str, Target],
    shared: dict[str, str],
    callers: tuple[Key, ...],
    rng: Random,
    now: int,
) -> Endpoint:
    fallback = None if plan.fallback is None else targets[plan.fallback]
    wanted = [EndpointModel(model_definition_id=targets[name].model_definition_id, weight=float(w)) for name, w in plan.models.items()]
    if fallback is not None:
        wanted.append(EndpointModel(model_definition_id=fallback.model_definition_id, linkage_type=FALLBACK, fallback_order=1))
    made = endpoints.create(
        connection,
        name=plan.name,
        models=wanted,
        fallback=None if fallback is None else Fallback(max_attempts=2),
        usage_tracking=plan.tracked,
        experiment_id=shared.get(plan.experiment or ""),
        by=BY,
        now=now,
    )
    return Endpoint(
        plan=plan,
        endpoint_id=made.endpoint_id,
        experiment_id=made.experiment_id if plan.tracked else None,
        targets=tuple(targets[name] for name in plan.models),
        weights=tuple(plan.models.values()),
        fallback=fallback,
        keys=tuple(rng.sample(callers, k=max(3, int(plan.share * 0.8)))),
    )


def _keys(connection: Connection, pepper: Pepper, rng: Random, now: int) -> Iterator[Key]:
    """Two or three a person, one of them of a service; some that belong to nobody; some that have expired since, or were revoked."""
    named = [(f"{owner}-{use}", owner, team) for team, owners in _TEAMS.items() for owner in owners for use in _USES[: rng.choice((2, 3))]]
    for name, owner, team in (*named, ("legacy-app", None, None), ("kiosk", None, "sales"), ("demo", None, None)):
        fate = rng.random()
        made, _ = keys.create(  # nobody is told the key
            connection,
            pepper,
            name=name,
            owner=owner,
            team=team,
            tags={}
            if team is None
            else {"env": "ci" if name.endswith("-ci") else "prod", "cost-center": f"cc-{sorted(_TEAMS).index(team) + 100}"},
            expires_at=now + rng.randrange(5, 200) * DAY if fate < 0.3 else None,
            by=BY,
            now=now,
        )
        if fate > 0.95:
            keys.revoke(connection, made.key_id, by=BY, now=now + rng.randrange(1, 5) * DAY)
        yield Key(key_id=made.key_id, name=name, owner=owner, team=team, agent=rng.choice(_AGENTS))
