"""The types of the client's answers say what the published schemas say."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from musicgate import RemoteModel, RemotePlan, RemoteProvider
from musicgate_schemas import load

_URN = "urn:musicgate:schema:v1:"
_JSON = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    types.NoneType: "null",
    list: "array",
    dict: "object",
}


def said(document: str, given: Any) -> tuple[str, dict[str, Any]]:
    """What a part of a schema says, once its reference is followed, and in which document."""
    while "$ref" in given:
        name, _, path = given["$ref"].partition("#/")
        document = name.removeprefix(_URN) or document
        given = load(document)
        for part in path.split("/"):
            given = given[part]
    return document, given


def differences(where: str, hint: Any, document: str, given: Any) -> Iterator[str]:
    """Each place in which a type and a schema differ."""
    document, given = said(document, given)
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if "anyOf" in given:
        branches = [said(document, branch)[1] for branch in given["anyOf"]]
        objects = [branch for branch in branches if branch["type"] == "object"]
        names = {branch["type"] for branch in branches}
        given = {**objects[0], "type": sorted(names)}
    if constants := given.get("enum") or ([given["const"]] if "const" in given else []):
        if set(get_args(hint)) != set(constants):
            yield f"{where}: {hint} is not {constants}"
        return
    wanted = {given["type"]} if isinstance(given["type"], str) else set(given["type"])
    found = {"object" if is_typeddict(part) else _JSON[get_origin(part) or part] for part in parts}
    if found != wanted:
        yield f"{where}: {found} is not {wanted}"
    for part in parts:
        if is_typeddict(part):
            yield from differences_of_fields(where, part, document, given)
        elif get_origin(part) is list and "items" in given and get_args(part) != (object,):
            yield from differences(f"{where}[]", get_args(part)[0], document, given["items"])
        elif get_origin(part) is dict and isinstance(given.get("additionalProperties"), dict):
            yield from differences(f"{where}.*", get_args(part)[1], document, given["additionalProperties"])


def differences_of_fields(where: str, hint: Any, document: str, given: Any) -> Iterator[str]:
    fields = get_type_hints(hint)
    if set(fields) != set(given["properties"]):
        yield f"{where}: fields {set(fields) ^ set(given['properties'])}"
    if hint.__required_keys__ != set(given.get("required", ())):
        yield f"{where}: required {hint.__required_keys__ ^ set(given.get('required', ()))}"
    for name in set(fields) & set(given["properties"]):
        yield from differences(f"{where}.{name}", fields[name], document, given["properties"][name])


@pytest.mark.parametrize(
    ("hint", "document", "path"),
    [
        (RemotePlan, "plan", "#"),
        (RemoteModel, "model_list", "#/$defs/model"),
        (RemoteProvider, "provider_list", "#/$defs/provider"),
    ],
    ids=["plan", "model", "provider"],
)
def test_a_type_has_the_fields_of_its_schema(hint: Any, document: str, path: str) -> None:
    given = load(document)
    for part in path.split("/")[1:]:
        given = given[part]
    assert list(differences(hint.__name__, hint, document, given)) == []
