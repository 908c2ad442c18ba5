"""Every setting, read once and then fixed: defaults < TOML file < environment < flags. Nothing else reads the environment.

A setting `x_y` is the flag `--x-y`, the variable `SPANGATE_X_Y` and the TOML key `x_y`; docs/reference/settings.md is
generated from this module (`python -m spangate.config`). The supervisor reads; its children get the result as JSON on stdin.
"""

import base64
import binascii
import difflib
import json
import os
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, PrivateAttr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

MIB = 1024 * 1024
PREFIX = "SPANGATE_"
PRICES = "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
DATABASE = re.compile(r"(sqlite|postgres(ql)?|mysql|mariadb|mssql)(\+\w+)?://.")


Source = Literal["default", "file", "environment", "flag"]


class ConfigError(Exception):
    """A setting is wrong; the message says which, where it came from is for the person to know."""


def home_data_dir(environ: Mapping[str, str]) -> Path:
    """Where data lives by default: one place a person, whatever the working directory, so that the CLI finds the server's key."""
    root = environ.get("XDG_DATA_HOME")
    return (Path(root) if root else Path.home() / ".local" / "share") / "spangate"


class Settings(BaseModel):
    """The settings of one gateway. Frozen; SIGHUP has them read again, and what is not FIXED is then in force in new processes."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Every call needs a key, on any address.")
    port: int = Field(4000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(
        default_factory=lambda: home_data_dir(os.environ),
        description="Folder of keys, journals, snapshot and the SQLite database. One gateway a folder.",
    )
    db: str | None = Field(
        None, repr=False, description="Database URL, such as `postgresql://user@host/name`. Without: SQLite in the data folder."
    )
    workers: int = Field(1, ge=0, le=256, description="Relay processes. One serves thousands of calls a second; 0: one a core.")
    config: Path | None = Field(None, description="TOML file with settings.")
    admin_key: str | None = Field(
        None,
        repr=False,
        min_length=16,
        description="The admin's key. Without: made at first start, kept as `admin.key` in the data folder.",
    )
    kek: str | None = Field(
        None,
        repr=False,
        description="Key that encrypts secrets: 32 bytes in base64. Without: made at first start, kept as `kek.key` in the data folder.",
    )
    pepper: str | None = Field(
        None,
        repr=False,
        description="What keys are digested with: 32 bytes in base64. Without: made at first start, kept as `pepper.key` in the data "
        "folder.",
    )
    strict: bool = Field(False, description="A reply ends only when its record is on the disk: survives power loss, costs a sync's wait.")
    allow_private_upstreams: bool = Field(False, description="Permit providers at loopback and private addresses, and plain http.")
    grace: float = Field(30.0, ge=0, description="Seconds that open calls get to finish at shutdown.")
    retire_grace: float = Field(
        900.0, ge=0, description="Seconds that open calls get to finish in a worker that a rolling restart replaces, before `grace` begins."
    )
    body_limit: ByteSize = Field(ByteSize(32 * MIB), ge=1024, description="Largest request body; beyond it 413. Takes units: `32MiB`.")
    allowed_hosts: str | None = Field(
        None,
        description="Names under which the gateway answers (`Host`, without port), with commas between; `*.example.com` and `*` are "
        "understood. Without: the names of loopback while it listens there, else any. A proxy in front that keeps the client's `Host` "
        "needs its name here.",
    )
    max_connections: int = Field(10_000, ge=1, description="Open client connections a worker; beyond them 503.")
    head_timeout: float = Field(30.0, gt=0, description="Seconds until the head of a request is whole; then 408.")
    body_idle_timeout: float = Field(30.0, gt=0, description="Seconds between two pieces of a request body; then 408.")
    write_timeout: float = Field(60.0, gt=0, description="Seconds in which a client takes nothing of its answer; then it counts as gone.")
    content_limit: ByteSize = Field(ByteSize(MIB), ge=0, description="Bytes of each body that a trace keeps; the rest is marked truncated.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to reach a provider.")
    first_byte_timeout: float = Field(120.0, gt=0, description="Seconds until the head of a provider's answer.")
    idle_timeout: float = Field(60.0, gt=0, description="Seconds between two pieces of a streamed answer.")
    total_timeout: float = Field(
        900.0, gt=0, description="Seconds for a call as a whole: all its attempts, the pauses between them, and the answer."
    )
    drain_seconds: float = Field(
        30.0, ge=0, description="Seconds that an answer is read on for its usage after its client left, where the policy is `drain`."
    )
    drain_tokens: int = Field(4096, ge=0, description="Output tokens, by estimate, that are still read then.")
    tokenizer: bool = Field(
        True,
        description="Count tokens of OpenAI's models that nobody reported with their own tokenizer, not by length. Takes some 150 MB a "
        "worker, from the first call on that needs it.",
    )
    journal_reserve: ByteSize = Field(
        ByteSize(8 * MIB),
        ge=0,
        description="Bytes of the disk that each worker holds back for the records of open calls, for when it runs full.",
    )
    disk_low: ByteSize = Field(
        ByteSize(128 * MIB),
        ge=0,
        description="With less than this free on the journals' disk, calls are recorded without what was said in them.",
    )
    fsync_interval: float = Field(0.02, gt=0, description="Seconds between two syncs of the journal to the disk.")
    prices_refresh_hours: float = Field(
        0.0,
        ge=0,
        le=8760,
        description="Hours between two looks whether `prices_url` has newer prices; 0: none, and the installed package's are in force.",
    )
    prices_url: str = Field(PRICES, min_length=1, description="Where prices are fetched, in the form in which genai-prices publishes them.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What goes to the log on stderr.")
    log_format: Literal["text", "json"] = Field("text", description="`json`: one object a line, for machines.")
    access_log: bool = Field(True, description="One line in the log for each call, at level `info`.")

    _sources: Mapping[str, Source] = PrivateAttr(default_factory=dict)  # of what is not as its default says

    @field_validator("data_dir", "config")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        # Children and later CLI calls may stand in another folder.
        return None if path is None else path.expanduser().absolute()

    @field_validator("db")
    @classmethod
    def _database(cls, db: str | None) -> str | None:
        # Here and not only where it is opened: a gateway that cannot have a database must not start. The value may hold a password.
        if db is not None and not DATABASE.match(db):
            raise ValueError("must look like postgresql://user@host/name, mysql://user@host/name or sqlite:////path/to/file")
        return db

    @field_validator("kek", "pepper")
    @classmethod
    def _whole(cls, key: str | None) -> str | None:
        if key is not None:
            try:
                size = len(base64.b64decode(key, validate=True))
            except binascii.Error as error:
                raise ValueError("not base64") from error
            if size != 32:
                raise ValueError(f"is {size} bytes long, must be 32")
        return key

    @property
    def database_url(self) -> str:
        return self.db or f"sqlite:///{self.data_dir / 'spangate.db'}"

    @property
    def admin_key_file(self) -> Path:
        return self.data_dir / "admin.key"

    @property
    def kek_file(self) -> Path:
        return self.data_dir / "kek.key"

    @property
    def pepper_file(self) -> Path:
        return self.data_dir / "pepper.key"

    @property
    def snapshot_file(self) -> Path:
        return self.data_dir / "snapshot.msgpack"

    @property
    def control_socket(self) -> Path:
        return self.data_dir / "control.sock"

    @property
    def control_address_file(self) -> Path:
        """Says where control listens if `control_socket` is too long a path for a Unix socket."""
        return self.data_dir / "control.addr"

    @property
    def journals_dir(self) -> Path:
        return self.data_dir / "journals"

    @property
    def metrics_dir(self) -> Path:
        return self.data_dir / "metrics"

    @property
    def relays(self) -> int:
        """How many relay processes `workers` means here."""
        return self.workers or cores()

    @property
    def health_file(self) -> Path:
        """Which targets fail, as all workers see it."""
        return self.data_dir / "health"

    @property
    def pid_file(self) -> Path:
        return self.data_dir / "serve.pid"

    @property
    def url_file(self) -> Path:
        """Where the gateway that runs on this folder can be called."""
        return self.data_dir / "serve.url"

    def source(self, name: str) -> Source:
        """Where the value of a setting was said."""
        return self._sources.get(name, "default")

    def keeping(self, other: "Settings", names: Collection[str]) -> "Settings":
        """The same, but for these as `other` has them."""
        kept = self.model_copy(update={name: getattr(other, name) for name in names})
        kept._sources = {name: (other if name in names else self).source(name) for name in Settings.model_fields}
        return kept

    def to_json(self) -> str:
        """One line, secrets included: for a child's stdin, never for a log or a command line."""
        return json.dumps({**self.model_dump(mode="json"), "sources": dict(self._sources)})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Settings":
        said = json.loads(text)
        sources = said.pop("sources", {})  # a supervisor of before an upgrade does not say
        settings = cls.model_validate_json(json.dumps(said))
        settings._sources = sources
        return settings


# What the supervisor holds on to, or what the journals, secrets and keys at rest belong to: another value needs a stop and a start.
FIXED = ("host", "port", "data_dir", "db", "kek", "pepper")


def cores() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def receive(stdin: IO[str] | None = None) -> Settings:
    """The settings that the supervisor gave this child: the first line of stdin, as JSON. Reads no file and no environment.

    The supervisor keeps the pipe open and writes nothing more: the end of stdin means that it is dead.
    """
    line = (stdin or sys.stdin).readline()
    if not line.strip():
        raise ConfigError("no settings on stdin: this module is started by `spangate serve`, not by hand")
    return Settings.from_json(line)


def load(flags: Mapping[str, Any] | None = None) -> Settings:
    """Reads every source. `flags` holds what the command line says; None stands for a flag that was not given."""
    misspelt()
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    file = given.get("config") or os.environ.get(PREFIX + "CONFIG")
    if file and not Path(file).expanduser().is_file():
        raise ConfigError(f"config: there is no file {file}")

    class Sources(Settings, BaseSettings):  # pyright: ignore[reportIncompatibleVariableOverride]
        model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            toml = (TomlConfigSettingsSource(settings_cls, Path(file).expanduser()),) if file else ()
            return (init_settings, env_settings, *toml)

    try:
        settings = Settings.model_validate(Sources(**given).model_dump())
        settings._sources = _sources(given, file)  # pyright: ignore[reportPrivateUsage]
        return settings
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(detail["loc"], detail["msg"], detail["type"], given) for detail in error.errors())) from None
    except ValueError as error:  # a TOML file that is no TOML
        raise ConfigError(f"config: {file}: {error}") from None


def _sources(flags: Mapping[str, Any], file: str | Path | None) -> Mapping[str, Source]:
    said = tomllib.loads(Path(file).expanduser().read_text()) if file else {}
    environment = [name for name in Settings.model_fields if os.environ.get(PREFIX + name.upper())]
    return {**dict.fromkeys(said, "file"), **dict.fromkeys(environment, "environment"), **dict.fromkeys(flags, "flag")}


# Variables of ours that are no settings: of the command line client, and what the test suite reads.
OTHERS = ("URL", "KEY")
# ... and what Kubernetes puts into each pod beside a service named `spangate`.
FOREIGN = re.compile(PREFIX + r"(TEST_\w+|SERVICE_(HOST|PORT)\w*|PORT_\d+_\w+)")


def misspelt() -> None:
    """Raises ConfigError if the environment has a SPANGATE_ variable that means nothing: a limit that is not in force helps nobody."""
    known = [PREFIX + name.upper() for name in (*Settings.model_fields, *OTHERS)]
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in known and not FOREIGN.fullmatch(variable):
            near = _nearest(variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in known], PREFIX)
            raise ConfigError(f"{variable}: there is no such setting{near}")


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else "; `spangate serve --help` lists the settings"


def _sentence(place: tuple[int | str, ...], message: str, kind: str, flags: Mapping[str, Any]) -> str:
    name = str(place[0]) if place else "settings"
    if kind == "extra_forbidden":
        return f"{name}: there is no such setting{_nearest(name, Settings.model_fields)}"
    message = message.removeprefix("Value error, ")
    variable = PREFIX + name.upper()
    value = "" if name in flags else os.environ.get(variable, "")
    if not value:
        return f"{name}: {message}"
    if "://" in value and name == "port":
        message += (
            ". Kubernetes sets this variable in the pods beside a service named `spangate`: name the service otherwise, or set "
            "`enableServiceLinks: false` for the pod"
        )
    return f"{variable}: {message}"


class Place(BaseModel):
    """Where the CLI finds a gateway, and the key that it shows."""

    model_config = ConfigDict(frozen=True)

    url: str
    key: str | None = Field(repr=False)
    found: str  # where the key came from, for messages


def place(settings: Settings, *, url: str | None = None, key: str | None = None) -> Place:
    """--url/--key, else SPANGATE_URL/SPANGATE_KEY, else the gateway that runs on the data folder, with the admin's key."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if host in {"0.0.0.0", "[::]"}:  # noqa: S104  a server listens there, a client cannot call it
        host = "127.0.0.1"
    url = url or os.environ.get(PREFIX + "URL") or _said(settings.url_file) or f"http://{host}:{settings.port}"
    if key:
        return Place(url=url, key=key, found="--key")
    if shown := os.environ.get(PREFIX + "KEY"):
        return Place(url=url, key=shown, found="SPANGATE_KEY")
    if settings.admin_key:
        return Place(url=url, key=settings.admin_key, found="SPANGATE_ADMIN_KEY")
    return Place(url=url, key=_said(settings.admin_key_file), found=str(settings.admin_key_file))


def _said(file: Path) -> str | None:
    try:
        return file.read_text().strip() or None
    except OSError:
        return None


class Found(BaseModel):
    """A provider's key that the environment holds."""

    model_config = ConfigDict(frozen=True)

    provider: str
    variable: str
    key: str = Field(repr=False)
    api_base: str | None = None


def provider_keys() -> list[Found]:
    """What `spangate up` finds in the environment: each key goes where its SDK would take it, never elsewhere."""
    found: list[Found] = []
    if key := os.environ.get("OPENAI_API_KEY"):
        base = os.environ.get("OPENAI_BASE_URL") or None
        found.append(Found(provider="openai", variable="OPENAI_API_KEY", key=key, api_base=base))
    if key := os.environ.get("ANTHROPIC_API_KEY"):
        base = os.environ.get("ANTHROPIC_BASE_URL")  # without the version, which the SDK adds
        found.append(
            Found(provider="anthropic", variable="ANTHROPIC_API_KEY", key=key, api_base=f"{base.rstrip('/')}/v1" if base else None)
        )
    return found


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def reference() -> str:
    """docs/reference/settings.md as it must read."""
    rows = [
        "<!-- Generated by `python -m spangate.config`; a test compares. -->",
        "# Settings",
        "",
        "Each setting is a flag of `spangate serve` and `spangate up`, an environment variable, and a key of the TOML file that",
        "`--config` names. Flags win over the environment, the environment over the file, the file over the default.",
        "",
        "| flag | environment | TOML key | default | what it does |",
        "|---|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{flag(name)}` | `{PREFIX}{name.upper()}` | `{name}` | {_default(name)} | {field.description} |")
    rows += [
        "",
        "The command line client also reads `SPANGATE_URL` and `SPANGATE_KEY`, which say where a gateway is and which key to show.",
        "Without them it takes both from the data folder: the gateway that runs there, and its admin key. Any other `SPANGATE_…` variable",
        "is refused with the nearest name, so that a misspelt limit is not silently none.",
        "",
        "On SIGHUP `spangate serve` reads the file again and restarts its processes one by one with what it says, without dropping a call:",
        "see [Operating](../guides/operating.md#rolling-restart). A new value of one of these needs a stop and a start:",
        ", ".join(f"`{name}`" for name in FIXED) + ".",
        "",
    ]
    return "\n".join(rows)


def _default(name: str) -> str:
    if name == "data_dir":
        return "`$XDG_DATA_HOME/spangate`, else `~/.local/share/spangate`"
    return "none" if Settings.model_fields[name].default is None else f"`{said(name)}`"


def said(name: str) -> str:
    """The default of a setting, as a person would write it."""
    default = Settings.model_fields[name].get_default(call_default_factory=True)
    if isinstance(default, ByteSize):
        return default.human_readable().replace(".0", "")
    return str(default).lower() if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201
