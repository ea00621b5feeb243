"""The OpenAPI document and its page; `described` holds answers of all tests here against it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

import musicgate_schemas
from musicgate.web.app import make_app
from musicgate.web.openapi import describe
from musicgate.web.openapi.components import COMPONENT_OF_SCHEMA, load_components
from musicgate.web.openapi.operations import JOBS as ANY_BASE
from musicgate.web.openapi.operations import OPERATIONS
from musicgate.web.openapi.parts import ERRORS, HEADERS, PARAMETERS
from tests.e2e.described import BASES, Description
from tests.e2e.running_server import JOBS, song
from tests.vendored import VENDORED, Vendored, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def document_of(server: RunningServer) -> dict[str, Any]:
    return (await server.call("GET", "/openapi.json", key=None)).body


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        yield from (found for value in node.values() for found in references(value))
    elif isinstance(node, list):
        yield from (found for item in node for found in references(item))


async def test_every_route_is_described_and_every_described_route_exists(server: RunningServer) -> None:
    document = await document_of(server)
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    served = set()
    for route in make_app(server.gateway).router.routes():
        assert route.resource is not None
        path = re.sub(r"\{(\w+):[^}]*\}*?\}(?=$|/)", r"{\1}", route.resource.canonical)
        # HEAD is where GET is; a path with a slash at its end has an empty id.
        if route.method != "HEAD" and not path.endswith("/"):
            served.add((route.method, path))
    assert described == served
    templates = {(method, re.sub(f"^{BASES[0]}(?=/|$)", ANY_BASE, path)) for method, path in described}
    assert set(OPERATIONS) <= templates


async def test_a_route_that_is_not_described_is_named(server: RunningServer) -> None:
    async def secret(_: web.Request) -> web.Response:
        return web.Response()

    app = make_app(server.gateway)
    app.router.add_get("/v1/secret", secret)
    with pytest.raises(LookupError, match="GET /v1/secret is not described"):
        describe(app, BASES, {}, base_url="https://music.example", needs_key=True)


async def test_the_document_is_complete_and_nothing_in_it_is_unused(server: RunningServer) -> None:
    document = await document_of(server)
    found = set(references(document))
    places = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "headers", "responses")
        for name in document["components"][kind]
    }
    assert found == places
    for schema in document["components"]["schemas"].values():
        Description(document).broken(schema, {})  # compiles
    identifiers = [
        operation["operationId"] for item in document["paths"].values() for operation in item.values()
    ]
    assert len(set(identifiers)) == len(identifiers)
    assert {"generateMusic", "generateMusicAlias", "getMusicGeneration"} <= set(identifiers)
    assert (len(PARAMETERS), len(HEADERS), len(ERRORS)) == tuple(
        len(document["components"][kind]) for kind in ("parameters", "headers", "responses")
    )


async def test_components_have_the_properties_and_rules_of_the_published_schemas() -> None:
    components = load_components({})
    for name, component in COMPONENT_OF_SCHEMA.items():
        published, shown = musicgate_schemas.load(name), components[component]
        assert list(shown.get("properties", ())) == list(published.get("properties", ()))
        assert shown.get("required") == published.get("required")
        assert shown["externalDocs"]["url"] == f"v1/schemas/{name}"
        for key in published.get("$defs", {}):
            assert "".join(part.capitalize() for part in key.split("_")) in components
    kinds = components["JobEvent"]["discriminator"]["mapping"]
    assert kinds["settled"] == "#/components/schemas/SettledEvent"
    assert [{"$ref": kind} for kind in kinds.values()] == components["JobEvent"]["oneOf"]
    # Generators would take a rule beside properties for a type, and need to know what is in a list.
    assert [
        name
        for name, shown in components.items()
        if "properties" in shown and {"allOf", "anyOf"} & set(shown)
    ] == []
    assert components["HttpRequest"]["properties"]["body"]["items"] == {}
    description = Description({"paths": {}, "components": {"schemas": components}})
    job = {
        "id": "a",
        "object": "music",
        "status": "failed",
        "provider": "b",
        "model": "c",
        "nativeResponseId": None,
    }
    broken = description.broken({"$ref": "#/components/schemas/MusicJob"}, job)
    assert ['"error" is a required property' in text for text in broken] == [True]
    failed = {**job, "error": {"reason": "timeout", "message": "it was late"}}
    assert description.broken({"$ref": "#/components/schemas/MusicJob"}, failed) == []


async def test_blocks_of_installed_plugins_are_part_of_the_request(server: RunningServer) -> None:
    document = await document_of(server)
    properties = document["components"]["schemas"]["MusicRequest"]["properties"]
    assert properties["acestep"]["$ref"] == "#/components/schemas/AcestepOptions"
    assert "seed" in document["components"]["schemas"]["AcestepOptions"]["properties"]
    assert properties["suno"]["$ref"] == "#/components/schemas/SunoOptions"
    own = {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "string"}}}
    shown = load_components({"harmonia": own})["HarmoniaOptions"]
    assert shown == {"description": "", "type": "object", "additionalProperties": True}


async def test_what_is_not_described_is_noticed(server: RunningServer) -> None:
    description = Description(await document_of(server))
    headers = {"Content-Type": "application/json", "ETag": "x", "X-Gateway-Error-Attribution": "user"}

    def check(status: int, body: object, **more: str) -> list[str]:
        raw = json.dumps(body).encode()
        return description.violations("GET", f"{JOBS}/x", status, {**headers, **more}, raw)

    assert check(418, {}) == ["getMusicGeneration has no 418"]
    assert check(200, {}, **{"Content-Type": "text/plain"}) == ["getMusicGeneration 200 has no text/plain"]
    assert len(check(200, {"id": 1})) > 5
    del headers["ETag"]
    assert check(200, {}) == ["getMusicGeneration 200 lacks ETag"]


async def test_events_are_as_described(server: RunningServer) -> None:
    job = await server.generate(song())
    stream = await server.call("GET", f"{JOBS}/{job['id']}/events")
    description = Description(await document_of(server))
    frames = [frame.split("\n") for frame in stream.raw.decode().split("\n\n") if frame.startswith("id: ")]
    seen = []
    for lines in frames:
        message = dict(line.split(": ", 1) for line in lines)
        event = json.loads(message["data"])
        assert description.broken({"$ref": "#/components/schemas/JobEvent"}, event) == []
        assert description.broken({"$ref": "#/components/schemas/EventMessage"}, message) == []
        seen.append(event["type"])
    assert (seen[0], seen[-1]) == ("created", "settled")


async def test_catalogue_probes_and_schemas_are_as_described(server: RunningServer) -> None:
    """`RunningServer.call` compares; what belongs to a job is compared by the tests about it."""
    for path in (
        "/v1/music/models",
        "/v1/music/providers",
        "/livez",
        "/readyz",
        *(f"/v1/schemas/{name.replace('/', '%2F')}" for name in musicgate_schemas.NAMES),
    ):
        assert (await server.call("GET", path)).status == 200, path


async def test_servers_are_where_the_client_reaches_them(
    server: RunningServer, open_server: OpenServer
) -> None:
    assert (await document_of(server))["servers"] == [{"url": server.url}]
    prefixed = {"public_url": "https://music.example/api/"}
    async with open_server(server=prefixed) as other:
        assert (await document_of(other))["servers"] == [{"url": "https://music.example/api"}]
        policy = (await other.call("GET", "/docs")).headers["Content-Security-Policy"]
        assert "connect-src 'self' https://music.example/api/;" in policy
    async with open_server(has_public_url=False) as other:
        assert (await document_of(other))["servers"] == [{"url": other.url}]


async def test_a_key_is_described_where_one_is_needed(
    server: RunningServer, server_without_accounts: RunningServer
) -> None:
    document = await document_of(server)
    security = {
        operation["operationId"]: operation["security"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    assert security["generateMusic"] == [{"key": []}]
    assert security["getAudio"] == [{"key": []}, {}]
    assert security["getLiveness"] == []
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    document = await document_of(server_without_accounts)
    assert list(document["components"]["securitySchemes"]) == ["metrics_token"]
    assert document["paths"][JOBS]["post"]["security"] == []


async def test_the_document_is_sent_once(server: RunningServer) -> None:
    first = await server.call("GET", "/openapi.json")
    again = await server.call("GET", "/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.raw) == (304, b"")


async def test_the_page_loads_its_own_files_only(server: RunningServer) -> None:
    page = await server.call("GET", "/docs")
    text = page.raw.decode()
    assert re.findall(r"<(?:script|link)[^>]*(?:src|href)=\"([^\"]*)\"", text) == [
        "data:,",
        "docs/swagger-ui.css",
        "docs/docs.css",
        "docs/swagger-ui-bundle.js",
        "docs/docs.js",
    ]
    assert re.search(r"<style|<script[^>]*>[^<]|style=| on\w+=", text) is None
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy
    for name in re.findall(r"\"docs/([^\"]*)\"", text):
        packed = await server.call("GET", f"/docs/{name}", headers={"Accept-Encoding": "gzip"})
        plain = await server.call("GET", f"/docs/{name}", headers={"Accept-Encoding": "identity"})
        assert packed.raw == plain.raw  # the client unpacks it
        assert (packed.headers["Content-Encoding"], plain.headers.get("Content-Encoding")) == ("gzip", None)
        assert packed.headers["ETag"] != plain.headers["ETag"]
        tag = {"If-None-Match": plain.headers["ETag"], "Accept-Encoding": "identity"}
        assert (await server.call("GET", f"/docs/{name}", headers=tag)).status == 304
    assert (await server.call("GET", "/docs/docs.html")).error == (404, "not_found", None)


@pytest.mark.parametrize("vendored", VENDORED, ids=lambda vendored: vendored.package)
async def test_files_of_others_are_those_that_were_fetched(vendored: Vendored) -> None:
    recorded = vendored.recorded()["sha256"]
    assert sorted(recorded) == sorted(vendored.files.values())
    assert {name: sha256((vendored.folder / name).read_bytes()) for name in recorded} == recorded
