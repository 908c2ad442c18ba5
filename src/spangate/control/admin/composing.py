"""A document made into an endpoint, with the models and secrets that it needs: all of it or nothing, in the caller's transaction.

The rules are the store's own. Here is which field of the document each of them speaks of, so that a form is told all that is wrong at once.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import TracebackType

from msgspec import UNSET
from sqlalchemy import Connection

from ...providers import catalog
from ...store import aliases, endpoints, experiments, models, secrets, settings
from ...store.endpoints import FALLBACK, PRIMARY, EndpointModel, Fallback
from ...store.engine import take
from ...store.faults import AlreadyExists, FieldFault, Invalid, Misfilled, NotFound, Outdated
from ...store.models import ModelDefinition
from .. import credentials
from ..desk import Desk
from .documents import EndpointAsked, EndpointReplaced, ExperimentAsked, NewSecret, PrimaryAsked, TargetAsked
from .settings import changes


class Form:
    """What is wrong with which field."""

    def __init__(self) -> None:
        self.errors: list[FieldFault] = []

    def at(self, field: str) -> "_At":
        """What the store refuses inside is the fault of this field, or of one within it."""
        return _At(self, field)

    def say(self, field: str, message: str) -> None:
        self.errors.append(FieldFault(field, message))

    def close(self) -> None:
        """Raises Misfilled if anything is wrong."""
        if self.errors:
            raise Misfilled(self.errors)


class _At:
    def __init__(self, form: Form, field: str) -> None:
        self._form = form
        self._field = field

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> bool:
        match fault:
            case Misfilled(errors=errors):
                for error in errors:
                    self._form.say(f"{self._field}.{error.field}", error.message)
            case Invalid() | NotFound() | AlreadyExists():
                self._form.say(f"{self._field}.{fault.field}" if fault.field else self._field, fault.message)
            case _:
                return False
        return True


@contextmanager
def form(field: str) -> Generator[None]:
    """What is refused inside is the fault of this field alone. Raises Misfilled."""
    asked = Form()
    with asked.at(field):
        yield
    asked.close()


def create(connection: Connection, desk: Desk, asked: EndpointAsked, *, by: str) -> str:
    """Returns the new endpoint's id. Raises Misfilled."""
    return _Composing(connection, desk, by).create(asked)


def replace(connection: Connection, desk: Desk, endpoint: str, asked: EndpointReplaced, *, by: str) -> str:
    """`endpoint`: id or name. Raises Misfilled, NotFound, or Outdated."""
    return _Composing(connection, desk, by).replace(endpoint, asked)


def new_secret(connection: Connection, desk: Desk, provider: str | None, asked: NewSecret, *, by: str) -> str:
    """Raises Misfilled, with fields of the secret."""
    row = catalog().get(provider or "")
    faults = list(credentials.faults(row, sealed=asked.values, open=asked.auth_config, allow_private=desk.allow_private, whole=True))
    if faults:
        raise Misfilled(faults)
    with form("name"):
        secrets.free(connection, asked.name)
    made = secrets.create(
        connection,
        desk.keyring,
        name=asked.name,
        values=asked.values,
        provider=provider,
        auth_config=asked.auth_config,
        by=by,
        now=desk.now(),
    )
    return made.secret_id


class _Composing:
    """One transaction's work. What of it was done when a fault comes to light is rolled back by whoever opened the transaction."""

    def __init__(self, connection: Connection, desk: Desk, by: str) -> None:
        self._connection = connection
        self._desk = desk
        self._by = by
        self._now = desk.now()
        self._form = Form()
        self._secrets: dict[tuple[str, str], tuple[NewSecret, str | None]] = {}  # by provider and name: as asked, and its id

    def create(self, asked: EndpointAsked) -> str:
        with self._form.at("name"):
            endpoints.free(self._connection, asked.name)
        wanted = self._models(asked)
        experiment_id = self._experiment(asked.experiment)
        self._form.close()
        made = endpoints.create(
            self._connection,
            name=asked.name,
            models=wanted,
            fallback=_fallback(asked),
            usage_tracking=asked.usage_tracking,
            experiment_id=experiment_id,
            by=self._by,
            now=self._now,
        )
        self._rest(made, asked)
        return made.endpoint_id

    def replace(self, endpoint: str, asked: EndpointReplaced) -> str:
        take(self._connection)
        before = endpoints.find(self._connection, endpoint)
        if asked.updated_at is not None and round(asked.updated_at.timestamp() * 1000) != before.updated_at:
            who = f" by {before.updated_by}" if before.updated_by else ""
            raise Outdated(f"The endpoint '{before.name}' was changed{who} after it was read. Read it again, then change that.")
        for alias in aliases.list_(self._connection, endpoint=before.name):
            if alias.pattern not in asked.aliases:  # first: it may be the new name
                aliases.delete(self._connection, alias.pattern, now=self._now)
        if asked.name != before.name:
            with self._form.at("name"):
                endpoints.free(self._connection, asked.name)
        wanted = self._models(asked)
        experiment_id = self._experiment(asked.experiment)
        self._form.close()
        after = endpoints.update(
            self._connection,
            before.endpoint_id,
            name=asked.name,
            models=wanted,
            fallback=_fallback(asked),
            usage_tracking=asked.usage_tracking,
            experiment_id=UNSET if experiment_id is None else experiment_id,
            by=self._by,
            now=self._now,
        )
        self._rest(after, asked)
        return before.endpoint_id

    # ------------------------------------------------------------ models and their secrets

    def _models(self, asked: EndpointAsked) -> list[EndpointModel]:
        accepted: list[EndpointModel] = []
        if not asked.primaries:
            self._form.say("primaries", "An endpoint needs a model.")
        for kind, group, targets in ((PRIMARY, "primaries", asked.primaries), (FALLBACK, "fallbacks", asked.fallbacks)):
            for place, target in enumerate(targets):
                field = f"{group}.{place}"
                definition = self._definition(field, target)
                if definition is None:
                    continue
                model = EndpointModel(
                    model_definition_id=definition.model_definition_id,
                    linkage_type=kind,
                    weight=target.weight if isinstance(target, PrimaryAsked) else 1.0,
                    fallback_order=place + 1 if kind == FALLBACK else None,
                )
                with self._form.at(f"{field}.model"):
                    endpoints.check(self._connection, [*accepted, model], whole=False)
                    accepted.append(model)
        return accepted

    def _definition(self, field: str, asked: TargetAsked) -> ModelDefinition | None:
        """None: it was said why there is none."""
        if asked.model_definition_id is not None:
            return self._there(field, asked, asked.model_definition_id)
        errors = len(self._form.errors)
        provider = ""
        if not asked.provider:
            self._form.say(f"{field}.provider", "Say whose model it is.")
        else:
            with self._form.at(f"{field}.provider"):
                provider = credentials.known(asked.provider)
        if not asked.model:
            self._form.say(f"{field}.model", "Say which model it is.")
        if asked.secret is not None and asked.secret_id is not None:
            self._form.say(f"{field}.secret", "Say secret_id, or a new secret, not both.")
        if len(self._form.errors) > errors:
            return None
        secret_id = asked.secret_id
        if asked.secret is not None:
            secret_id = self._secret(field, provider, asked.secret)
        elif secret_id is not None:
            with self._form.at(f"{field}.secret_id"):
                models.check_secret(self._connection, secret_id, provider)
        elif any(credentials.faults(catalog()[provider], sealed={}, open={}, allow_private=True, whole=True)):
            self._form.say(f"{field}.secret_id", f"{catalog()[provider].title} needs a secret.")
        if len(self._form.errors) > errors:
            return None
        with self._form.at(f"{field}.model"):
            return models.of(
                self._connection, provider=provider, model_name=asked.model or "", secret_id=secret_id, by=self._by, now=self._now
            )
        return None

    def _there(self, field: str, asked: TargetAsked, model_definition_id: str) -> ModelDefinition | None:
        found: ModelDefinition | None = None
        with self._form.at(f"{field}.model_definition_id"):
            found = models.get(self._connection, model_definition_id)
        if found is None:
            return None
        if asked.secret is not None:
            self._form.say(f"{field}.secret", "The model definition has a secret of its own: leave out model_definition_id to use another.")
            return None
        for name, said, has in (
            ("provider", asked.provider, found.provider),
            ("model", asked.model, found.model_name),
            ("secret_id", asked.secret_id, found.secret_id),
        ):
            if said is not None and said != has:
                self._form.say(
                    f"{field}.{name}", f"The model definition '{found.name}' has another one: leave out model_definition_id to change it."
                )
                found = None
                break
        return found

    def _secret(self, field: str, provider: str, asked: NewSecret) -> str | None:
        key = provider, asked.name
        if key not in self._secrets:
            secret_id = None
            with self._form.at(f"{field}.secret"):
                secret_id = new_secret(self._connection, self._desk, provider, asked, by=self._by)
            self._secrets[key] = asked, secret_id
        first, secret_id = self._secrets[key]
        if first != asked:
            self._form.say(f"{field}.secret.name", f"Two secrets of this document are named '{asked.name}', and they differ.")
            return None
        if secret_id is None and not any(error.field.startswith(f"{field}.secret") for error in self._form.errors):
            self._form.say(f"{field}.secret", f"'{asked.name}' is refused above.")
        return secret_id

    # ------------------------------------------------------------ what else there is

    def _experiment(self, asked: ExperimentAsked | None) -> str | None:
        """None: none is named, or it was said why not."""
        if asked is None:
            return None
        if asked.id is not None:
            with self._form.at("experiment.id"):
                return str(endpoints.given_experiment(self._connection, asked.id))
        elif asked.name is None:
            self._form.say("experiment", "Say its id, or its name.")
        else:
            with self._form.at("experiment.name"):
                try:
                    found = experiments.get_by_name(self._connection, asked.name)
                except NotFound:
                    return experiments.create(self._connection, name=asked.name, now=self._now)
                if found.lifecycle_stage != experiments.ACTIVE:
                    raise Invalid(f"The experiment '{asked.name}' is deleted: restore it, or choose another.")
                return found.experiment_id
        return None

    def _rest(self, endpoint: endpoints.Endpoint, asked: EndpointAsked) -> None:
        with self._form.at("settings"):
            settings.update(self._connection, asked.name, changes(asked.settings, whole=True), by=self._by, now=self._now)
        self._aliases(endpoint, asked.aliases)
        for key in endpoint.tags.keys() - asked.tags.keys():
            endpoints.delete_tag(self._connection, endpoint.endpoint_id, key, now=self._now)
        for key, value in asked.tags.items():
            if endpoint.tags.get(key) != value:
                with self._form.at(f"tags.{key}"):
                    endpoints.set_tag(self._connection, endpoint.endpoint_id, key, value, now=self._now)
        self._form.close()

    def _aliases(self, endpoint: endpoints.Endpoint, patterns: Sequence[str]) -> None:
        there = {alias.pattern: alias for alias in aliases.list_(self._connection)}
        for place, pattern in enumerate(patterns):
            with self._form.at(f"aliases.{place}"):
                held = there.get(pattern)
                if held is None:
                    aliases.put(self._connection, pattern, endpoint=endpoint.name, by=self._by, now=self._now)
                elif held.endpoint_id != endpoint.endpoint_id:
                    raise Invalid(f"'{pattern}' means the endpoint '{held.endpoint}': take it from there first.")


def _fallback(asked: EndpointAsked) -> Fallback | None:
    return Fallback(max_attempts=asked.max_attempts) if asked.fallbacks or asked.max_attempts is not None else None
