"""Requests that pass the router by: two, spelled plainly."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from musicgate.web.quick_routes import QuickRoutes
from musicgate.web.request_state import RequestState


async def create(_: web.Request) -> web.StreamResponse:
    return web.Response()


async def status(_: web.Request) -> web.StreamResponse:
    return web.Response()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def found(method: str, path: str) -> tuple[Handler | None, str | None, str | None]:
    state = RequestState(1.0)
    routes = QuickRoutes(("/jobs", "/j.s"), create=create, status=status)
    return routes.find(make_mocked_request(method, path), state), state.route, state.music_id


@pytest.mark.parametrize("path", ["/jobs", "/jobs?x=1", "/j.s"])
def test_a_post_to_the_collection_creates(path: str) -> None:
    assert found("POST", path) == (create, path.partition("?")[0], None)


@pytest.mark.parametrize("music_id", ["music_01K", "0-9_aZ"])
def test_a_get_below_it_reads_the_job_that_it_names(music_id: str) -> None:
    assert found("GET", f"/jobs/{music_id}") == (status, "/jobs/{music_id}", music_id)
    assert found("GET", f"/j.s/{music_id}?a=/b") == (status, "/j.s/{music_id}", music_id)


@pytest.mark.parametrize(
    "request_line",
    [
        *("GET /jobs", "HEAD /jobs/m1", "DELETE /jobs/m1", "POST /jobs/m1", "PUT /jobs", "OPTIONS /jobs"),
        *("GET /jobs/", "GET /jobs/m1/", "GET /jobs/m1/events", "GET /jobs/m%20", "GET /jobs/m.1"),
        *("GET /jobs/m%2F1", "GET /x/jobs/m1", "GET //jobs/m1", "POST /jobs/", "GET /jxs/m1"),
    ],
)
def test_every_other_request_is_left_to_the_router(request_line: str) -> None:
    assert found(*request_line.split()) == (None, None, None)
