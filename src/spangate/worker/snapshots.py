"""What the workers know of the database: the last snapshot that control published, with its credentials opened in memory only.

A snapshot that cannot be read changes nothing: the routes before it stay in force, and `fault` says what is wrong.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from spangate.envelope import Keyring, Unsealable
from spangate.exchange import Calibration, Route, SealedKey, SealedRoute, SealedTarget, Snapshot, Target
from spangate.providers import Provider, access
from spangate.relay.route import Routes

logger = logging.getLogger(__name__)

INTERVAL = 0.2  # s between two looks; a change is in force within a second of its commit
FIELD = "values"  # what the store seals a credential for, beside the secret's id

_decoder = msgspec.msgpack.Decoder(Snapshot)


class Snapshots:
    def __init__(
        self,
        path: Path,
        keyring: Keyring,
        providers: Mapping[str, Provider],
        *,
        allow_private: bool = False,
        admin: SealedKey | None = None,
    ) -> None:
        self.routes = Routes({})
        self.keys: Mapping[bytes, SealedKey] = {}
        self.calibrations: Mapping[tuple[str, str], Calibration] = {}  # by provider and model
        self.version: int | None = None  # None: nothing was ever loaded
        self.fault: str | None = None
        self._path = path
        self._keyring = keyring
        self._providers = providers
        self._allow_private = allow_private
        self._admin = admin  # in force whatever the file says: that one may be of before the key was changed
        self._seen: tuple[int, int, int] | None = None
        self._sealed: dict[str, SealedRoute] = {}
        self._opened: dict[tuple[str, bytes], Mapping[str, str] | str] = {}

    def refresh(self) -> bool:
        """Loads the file if it is another one than before. True: what is in force has changed."""
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return False
            content = self._path.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            self._fail(f"snapshot: cannot be read: {error.strerror}")
            return False
        self._seen = seen
        try:
            snapshot = _decoder.decode(content)
        except (msgspec.MsgspecError, ValueError) as error:
            self._fail(f"snapshot: damaged: {error}")
            return False
        self._adopt(snapshot)
        return True

    async def follow(self) -> None:
        """For the life of the process."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                self.refresh()
            except Exception:
                logger.exception("The snapshot could not be taken over")

    def _adopt(self, snapshot: Snapshot) -> None:
        """Opens only what is new: a change of one endpoint among ten thousand costs one endpoint."""
        sealed = {route.name: route for route in snapshot.routes}
        used: dict[tuple[str, bytes], Mapping[str, str] | str] = {}
        routes: dict[str, Route] = {}
        for name, route in sealed.items():
            for target in route.targets:
                place = (target.secret_id or "", target.sealed)
                if target.sealed and place not in used:
                    used[place] = self._opened[place] if place in self._opened else self._open(*place)
            same = self._sealed.get(name) == route
            routes[name] = self.routes[name] if same else self._route(route, used)
        self._opened, self._sealed = used, sealed
        self.routes = Routes(routes, snapshot.aliases)
        keys = [key for key in snapshot.keys if self._admin is None or key.key_id != self._admin.key_id]
        self.keys = {key.digest: key for key in (keys if self._admin is None else [*keys, self._admin])}
        self.calibrations = {(known.provider, known.model): known for known in snapshot.calibrations}
        self.version = snapshot.version
        self.fault = None

    def _open(self, secret_id: str, sealed: bytes) -> Mapping[str, str] | str:
        """The credential, or why there is none."""
        try:
            values: object = json.loads(self._keyring.open(sealed, row=secret_id, field=FIELD))
            return msgspec.convert(values, dict[str, str])
        except (Unsealable, ValueError) as error:
            logger.error("Secret %s cannot be opened: %s", secret_id, error)
            return "Its secret cannot be opened: it was sealed with another key-encryption key, or damaged."

    def _route(self, route: SealedRoute, opened: Mapping[tuple[str, bytes], Mapping[str, str] | str]) -> Route:
        return Route(
            endpoint_id=route.endpoint_id,
            name=route.name,
            targets=tuple(self._target(target, opened) for target in route.targets),
            max_attempts=route.max_attempts,
            experiment_id=route.experiment_id,
            created_at=route.created_at,
            settings=route.settings,
        )

    def _target(self, sealed: SealedTarget, opened: Mapping[tuple[str, bytes], Mapping[str, str] | str]) -> Target:
        secret = opened.get((sealed.secret_id or "", sealed.sealed), {})
        problem = secret if isinstance(secret, str) else None
        way = access(self._providers, sealed.provider, sealed.auth_config, {} if isinstance(secret, str) else secret, model=sealed.model)
        return Target(
            model_definition_id=sealed.model_definition_id,
            provider=sealed.provider,
            model=sealed.model,
            formats=way.urls,
            headers=way.headers,
            grant=way.grant,
            base_url=way.base_url,
            usage_in_stream=way.usage_in_stream,
            weight=sealed.weight,
            fallback_order=sealed.fallback_order,
            secret_id=sealed.secret_id,
            allow_private=self._allow_private or way.allow_private,
            in_process=way.in_process,
            client_gone=way.client_gone,
            problem=problem or way.problem,
        )

    def _fail(self, fault: str) -> None:
        if fault != self.fault:
            logger.error("%s (%s)", fault, self._path)
        self.fault = fault
