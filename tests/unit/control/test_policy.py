import base64
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI, Request
from starlette.testclient import TestClient

from spangate import session
from spangate.control import problems
from spangate.control.policy import Forbidden, Guarded, Identity, Policy, Proof, Undeclared, Unidentified, allows, caller_of, check, shown
from spangate.envelope import Pepper
from spangate.exchange import Caller, Role, SealedKey

PEPPER = Pepper(bytes(32))
NOW = 1_700_000_000_000


def sealed(key: str, **has: Any) -> SealedKey:
    return SealedKey(key_id=f"k-{key}", digest=PEPPER.digest(key.encode()), name=f"name of {key}", **has)


def identity(*keys: SealedKey, used: Callable[[str, int], None] = lambda key_id, at: None) -> Identity:
    return Identity(lambda: {key.digest: key for key in keys}, PEPPER, now=lambda: NOW, used=used)


def application() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.router.route_class = Guarded
    app.state.identity = identity(sealed("right"), sealed("small", role="viewer"))
    app.state.body_limit = 100
    problems.install(app)
    return app


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"authorization": basic("anyone", "a:b")}, "a:b"),
        ({"x-api-key": "abc"}, "abc"),
        ({"x-goog-api-key": "abc"}, "abc"),
        ({"api-key": "abc"}, "abc"),
        ({"authorization": "Bearer abc", "x-api-key": "other"}, "abc"),
        ({"authorization": "Bearer ", "x-api-key": "other"}, "other"),
        ({"authorization": "Digest abc"}, None),
        ({"authorization": "Basic %%%"}, None),
        ({"authorization": "Basic " + base64.b64encode(b"\xff").decode()}, None),
        ({"authorization": basic("only", "")}, None),
        ({}, None),
    ],
)
def test_finds_the_key_where_clients_put_it(headers: dict[str, str], key: str | None) -> None:
    assert shown(headers) == key


def test_knows_whose_key_it_is() -> None:
    seen: list[tuple[str, int]] = []
    limits = {"endpoints": frozenset({"e-1"}), "experiments": frozenset({"7"}), "owner": "ann", "team": "search"}
    known = identity(sealed("one"), sealed("two", role="viewer", **limits), used=lambda *use: seen.append(use))
    proof = known.proof({"x-api-key": "two"}, safe=False)
    assert proof == Proof(sealed("two", role="viewer", **limits), ends=None)
    assert seen == [("k-two", NOW)]


def test_a_key_that_expired_is_told_so() -> None:
    seen: list[tuple[str, int]] = []
    known = identity(sealed("old", expires_at=NOW), sealed("yet", expires_at=NOW + 1), used=lambda *use: seen.append(use))
    with pytest.raises(Unidentified, match="has expired"):
        known.proof({"x-api-key": "old"}, safe=True)
    assert known.proof({"x-api-key": "yet"}, safe=True).ends == NOW + 1
    assert [key_id for key_id, _ in seen] == ["k-yet"]


def test_a_session_is_looked_at_where_no_key_is_shown() -> None:
    ann = sealed("ann", expires_at=NOW + 500)
    known, ends = identity(ann, sealed("ben")), NOW + 1000
    shows = {"cookie": f"spangate_session={session.sealed(session.Session(ann.digest, ends), PEPPER)}", "sec-fetch-site": "same-origin"}
    assert known.proof(shows, safe=False) == Proof(ann, ends=NOW + 500)
    assert known.proof(shows | {"x-api-key": "ben"}, safe=False).key.key_id == "k-ben"
    with pytest.raises(Unidentified, match="not known here"):
        known.proof(shows | {"x-api-key": "wrong"}, safe=False)
    with pytest.raises(Forbidden, match="own pages"):
        known.proof(shows | {"sec-fetch-site": "cross-site"}, safe=True)
    with pytest.raises(Forbidden, match="own pages"):
        known.proof(shows | {"sec-fetch-site": "none"}, safe=False)


def test_a_session_ends_with_its_time_and_with_its_key() -> None:
    ann = sealed("ann")
    proof, value = identity(ann).begun(Proof(ann, ends=None))
    assert proof == Proof(ann, ends=NOW + 12 * 3600 * 1000)
    shows = {"cookie": f"spangate_session={value}"}
    assert identity(ann).proof(shows, safe=True) == proof
    with pytest.raises(Unidentified, match="The session has ended"):
        identity(sealed("ben")).proof(shows, safe=True)
    with pytest.raises(Unidentified, match="The key that was shown has expired"):
        identity(sealed("ann", expires_at=NOW)).proof(shows, safe=True)
    later = Identity(lambda: {ann.digest: ann}, PEPPER, now=lambda: NOW + 12 * 3600 * 1000, used=lambda *use: None)
    with pytest.raises(Unidentified, match="The session has ended"):
        later.proof(shows, safe=True)


def test_no_session_goes_on_in_another_one() -> None:
    ann = sealed("ann")
    proof, _ = identity(ann).begun(Proof(ann, ends=NOW + 7))
    assert proof.ends == NOW + 7


@pytest.mark.parametrize(
    ("policy", "roles"),
    [
        (Policy.open, ["admin", "developer", "viewer"]),
        (Policy.viewer, ["admin", "developer", "viewer"]),
        (Policy.developer, ["admin", "developer"]),
        (Policy.admin, ["admin"]),
    ],
)
def test_each_role_may_what_those_below_may(policy: Policy, roles: list[str]) -> None:
    assert [role.value for role in Role if policy.allows(role)] == roles
    assert not policy.allows("reader")


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": "éé\udcff"}])
def test_refuses_whom_it_does_not_know(headers: dict[str, str]) -> None:
    with pytest.raises(Unidentified) as refused:
        identity(sealed("one")).proof(headers, safe=True)
    names = ("Authorization", "x-api-key", "x-goog-api-key", "`api-key`", "Basic")
    assert [name for name in names if name not in refused.value.message] == [], "it tells all places where a key is looked for"


def test_a_route_without_a_policy_stops_the_start() -> None:
    app = application()
    with pytest.raises(Undeclared, match="/bare declares no policy"):

        @app.get("/bare")
        def bare() -> str:
            return ""


def test_a_route_by_another_door_stops_the_start() -> None:
    app = application()
    app.add_route("/side", lambda request: None)  # type: ignore[arg-type]
    with pytest.raises(Undeclared, match="/side"):
        check(app)


def test_asks_for_the_key_before_it_looks_at_the_request() -> None:
    app = application()
    callers: list[Caller] = []

    @app.post("/closed")
    @allows(Policy.admin)
    async def closed(request: Request, number: int) -> str:
        callers.append(caller_of(request))
        return request.state.caller.name

    @app.get("/open")
    @allows(Policy.open)
    def opened() -> str:
        return "open"

    assert [route.policy for route in check(app)] == [Policy.admin, Policy.open]
    with TestClient(app) as client:
        assert client.get("/open").json() == "open"
        nobody = client.post("/closed?number=x")
        assert (nobody.status_code, nobody.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert "www-authenticate" in nobody.headers
        assert client.post("/closed?number=1&key=right").status_code == 401
        wrong = client.post("/closed", headers={"x-api-key": "wrong"})
        assert wrong.status_code == 401
        assert "wrong" not in wrong.text
        small = client.post("/closed?number=1", headers={"x-api-key": "small"})
        assert (small.status_code, small.json()["error_code"]) == (403, "PERMISSION_DENIED")
        assert client.post("/closed?number=1", headers={"x-api-key": "right"}).json() == "name of right"
        bad = client.post("/closed?number=x", headers={"x-api-key": "right"})
        assert (bad.status_code, bad.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        named = client.post("/closed?number=1", headers={"x-api-key": "right", "user-agent": "mlflow/3 python"})
        assert named.status_code == 200
        assert callers[-1] == Caller(key_id="k-right", name="name of right", agent="mlflow/3")
        assert client.get("/nothing").json() == {"error_code": "ENDPOINT_NOT_FOUND", "message": "There is nothing at GET /nothing."}
        assert client.post("/open").json() == {"error_code": "BAD_REQUEST", "message": "/open does not take POST."}


@pytest.mark.parametrize("body", [b'{"text": "\\ud800"}', b'{"\\udfff": 1}', b'["\xed\xa0\x80"]'], ids=["value", "name", "raw"])
def test_half_of_a_surrogate_pair_is_no_text(body: bytes) -> None:
    app = application()

    @app.post("/keep")
    @allows(Policy.admin)
    async def keep(said: Annotated[Any, Body()]) -> Any:  # pyright: ignore[reportUnusedFunction]
        return said

    with TestClient(app, headers={"x-api-key": "right", "content-type": "application/json"}) as client:
        refused = client.post("/keep", content=body)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "BAD_REQUEST")
        assert "surrogate" in refused.json()["message"]
        assert client.post("/keep", content=b'{"text": "\\ud83d\\ude00"}').json() == {"text": "\N{GRINNING FACE}"}


def test_no_more_is_read_than_the_limit_however_it_is_sent() -> None:
    app = application()
    read: list[int] = []

    @app.post("/keep")
    @allows(Policy.admin)
    async def keep(request: Request) -> int:  # pyright: ignore[reportUnusedFunction]
        read.append(len(await request.body()))
        return read[-1]

    with TestClient(app, headers={"x-api-key": "right"}) as client:
        assert client.post("/keep", content=b"x" * 100).json() == 100
        assert client.post("/keep", content=b"x" * 101).status_code == 413
        assert client.post("/keep", content=iter([b"x" * 60, b"x" * 60])).status_code == 413
    assert read == [100]
