"""MLflow's operations in OpenAPI's words, from the messages themselves: paths, and the schemas that they name."""

import re
import typing
from collections.abc import Iterable
from typing import Any

import msgspec

from .operations import Operation

PREFIX = "/api"  # of both prefixes the one that clients use
SCHEMAS = "#/components/schemas/"
NAMED = "Mlflow{name}"  # there are other nouns of the same names beside these

Schema = dict[str, Any]


def description(operations: Iterable[Operation[Any]], problem: Schema) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """`problem`: what is said of any answer that is no success."""
    operations = list(operations)
    answers = [_answer(operation) for operation in operations]
    references, components = msgspec.json.schema_components(
        [*(operation.ask for operation in operations), *answers], ref_template=SCHEMAS + NAMED
    )
    for schema in components.values():
        _undefaulted(schema)
    paths: dict[str, Schema] = {}
    taken: dict[str, str] = {}
    bodies: set[str] = set()
    for operation, answer in zip(operations, references[len(operations) :], strict=True):
        ask = components[operation.ask.__name__]
        inside = re.findall(r"{(\w+)}", operation.path)
        said: Schema = {"tags": ["mlflow"], "summary": operation.path, "operationId": _name(operation, taken)}
        if words := operation.answer.__doc__:
            said["description"] = words
        parameters = [_parameter(name, "path", ask) for name in inside]
        if operation.method == "GET":
            parameters += [_parameter(name, "query", ask) for name in ask["properties"] if name not in inside]
        elif inside:
            said["requestBody"] = _body(_without(ask, inside))
        else:
            bodies.add(operation.ask.__name__)
            said["requestBody"] = _body({"$ref": SCHEMAS + NAMED.format(name=operation.ask.__name__)}, bool(ask.get("required")))
        if parameters:
            said["parameters"] = parameters
        said["responses"] = {"200": {"description": "Done.", "content": {"application/json": {"schema": answer}}}, "default": problem}
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = said
    unnamed = {operation.ask.__name__ for operation in operations} - bodies
    return paths, {NAMED.format(name=name): schema for name, schema in components.items() if name not in unnamed}


def _answer(operation: Operation[Any]) -> type[msgspec.Struct]:
    return typing.get_type_hints(operation.answer)["return"]


def _name(operation: Operation[Any], taken: dict[str, str]) -> str:
    """By the function that answers; where it answers under a second version or method, with that. `taken`: paths by names."""
    noun = operation.answer.__module__.rpartition(".")[2]
    name = f"mlflow_{noun}_{operation.answer.__name__.rstrip('_')}"
    if name in taken:
        version = operation.path[1:].partition("/")[0].replace(".", "_")
        name += f"_{operation.method.lower()}" if taken[name] == operation.path else f"_{version}"
    taken[name] = operation.path
    return name


def _parameter(name: str, place: str, ask: Schema) -> Schema:
    return {"name": name, "in": place, "required": place == "path" or name in ask.get("required", ()), "schema": ask["properties"][name]}


def _without(ask: Schema, names: Iterable[str]) -> Schema:
    names = set(names)
    return ask | {
        "title": ask["title"] + "Body",
        "properties": {name: schema for name, schema in ask["properties"].items() if name not in names},
        "required": [name for name in ask.get("required", ()) if name not in names],
    }


def _body(schema: Schema, required: bool = True) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _undefaulted(schema: Schema) -> None:
    """A field with a default may be absent, both ways; where the default is said, makers of types take it to be always there."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)
