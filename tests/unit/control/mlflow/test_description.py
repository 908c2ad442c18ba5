from typing import Any

import pytest

from spangate.control.desk import Desk
from spangate.control.mlflow.description import description
from spangate.control.mlflow.messages import Ask, Nothing, Reply
from spangate.control.mlflow.operations import Operation
from spangate.control.policy import Policy

PROBLEM = {"description": "no"}


class Kind(Reply, frozen=True, kw_only=True):
    word: str = "plain"


class Look(Ask, frozen=True, kw_only=True):
    name: str
    most: int | None = None


class Change(Ask, frozen=True, kw_only=True):
    thing_id: str
    kind: Kind
    note: str | None = None


def look(desk: Desk, ask: Look) -> Kind:
    """What it is."""
    raise NotImplementedError


def change(desk: Desk, ask: Change) -> Nothing:
    raise NotImplementedError


def operation(*said: Any) -> Operation[Any]:
    return Operation(*said, Policy.viewer)


def answered(name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/Mlflow{name}"}
    return {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}, "default": PROBLEM}


def test_a_get_takes_its_message_from_path_and_query() -> None:
    paths, schemas = description([operation("GET", "/2.0/things/{name}", Look, look)], PROBLEM)
    most = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert paths == {
        "/api/2.0/things/{name}": {
            "get": {
                "tags": ["mlflow"],
                "summary": "/2.0/things/{name}",
                "operationId": "mlflow_test_description_look",
                "description": "What it is.",
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "most", "in": "query", "required": False, "schema": most},
                ],
                "responses": answered("Kind"),
            }
        }
    }
    # `word` is not on the wire when it is `plain`, so nobody may take it to be there.
    assert schemas == {"MlflowKind": {"title": "Kind", "type": "object", "properties": {"word": {"type": "string"}}, "required": []}}


def test_others_take_it_as_their_body_less_what_the_path_has() -> None:
    operations = [operation("POST", "/2.0/things", Change, change), operation("PATCH", "/2.0/things/{thing_id}", Change, change)]
    paths, schemas = description(operations, PROBLEM)
    whole = paths["/api/2.0/things"]["post"]["requestBody"]
    assert whole == {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MlflowChange"}}}}
    part = paths["/api/2.0/things/{thing_id}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    kind, note = {"$ref": "#/components/schemas/MlflowKind"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert (part["properties"], part["required"]) == ({"kind": kind, "note": note}, ["kind"])
    assert schemas["MlflowChange"]["required"] == ["thing_id", "kind"]
    assert schemas.keys() == {"MlflowChange", "MlflowKind", "MlflowNothing"}


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (("POST", "/3.0/things"), ("GET", "/3.0/things"), "mlflow_test_description_look_get"),
        (("POST", "/3.0/things"), ("POST", "/2.0/things"), "mlflow_test_description_look_2_0"),
    ],
)
def test_a_second_way_to_the_same_has_another_name(first: tuple[str, str], second: tuple[str, str], name: str) -> None:
    paths, _ = description([operation(*way, Look, look) for way in (first, second)], PROBLEM)
    assert paths["/api" + first[1]][first[0].lower()]["operationId"] == "mlflow_test_description_look"
    assert paths["/api" + second[1]][second[0].lower()]["operationId"] == name
