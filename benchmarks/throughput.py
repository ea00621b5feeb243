"""Requests per second and response times: create and GET, the curve over connections, many accounts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

import attrs

from benchmarks.bench import Bench
from benchmarks.compare import Figures, Rounds, Target, compare
from benchmarks.gateway import JOBS, MUSIC_REQUEST
from benchmarks.load import request_bytes
from benchmarks.vendor import CREATE
from benchmarks.workloads import finished_jobs

CURVE: Final = (1, 4, 16, 64, 256, 1000)
ACCOUNTS: Final = 1000
#: A round lasts long enough for a server that answers so many requests per second to answer all connections.
_ANSWERS_PER_S: Final = 150

#: Name of a limit -> how ``limits.py`` runs it.
_LIMITS: Final = {"limit": "asyncio", "limit, uvloop": "uvloop"}
_LIMITS_OF_CREATE: Final = _LIMITS | {"limit, two durable writes": "durable"}

#: Figures by target, by number of connections.
ByConnections = dict[str, dict[str, Figures]]


async def load(bench: Bench) -> dict[str, object]:
    """How much the load itself can do, against a server that does nothing."""
    server = bench.script("ceiling")
    async with server.running():
        target = Target("nothing", server, [request_bytes("GET", "/")])
        return _json(await _by_connections(bench, [target], (64, 1), Rounds.of(bench, 3)))


async def create(bench: Bench) -> dict[str, object]:
    """Creates, against an aiohttp handler that passes a request on to the same vendor."""
    return _json(await _create(bench, (64, 1), Rounds.of(bench), _LIMITS_OF_CREATE))


async def get(bench: Bench) -> dict[str, object]:
    """GETs of a finished job, against an aiohttp handler that answers the same bytes."""
    return _json(await _get(bench, (64, 1), Rounds.of(bench)))


async def curve(bench: Bench) -> dict[str, object]:
    """Creates and GETs at 1 to 1,000 connections."""
    rounds = Rounds.of(bench, 3)
    connections = CURVE[::2] if bench.is_quick else CURVE
    return {
        "create": _json(await _create(bench, connections, rounds, _LIMITS)),
        "get": _json(await _get(bench, connections, rounds)),
    }


async def accounts(bench: Bench) -> dict[str, object]:
    """Creates and GETs of 1,000 accounts in turn, against one account."""
    one, many = bench.gateway(speed=20), bench.gateway(speed=20, accounts=ACCOUNTS)
    gateways = {"1 account": one, f"{ACCOUNTS} accounts": many}
    gets: list[Target] = []
    async with AsyncExitStack() as stack:
        for name, gateway in gateways.items():
            await stack.enter_async_context(gateway.running())
            ids = await finished_jobs(bench, gateway)
            requests = [gateway.get_request(job_id, key) for key, job_id in enumerate(ids)]
            gets.append(Target(name, gateway, requests))
        found = await _by_connections(bench, gets, (64,), Rounds.of(bench))
    creates: list[Target] = []
    async with AsyncExitStack() as stack:
        for name, number in (("1 account", 1), (f"{ACCOUNTS} accounts", ACCOUNTS)):
            gateway = bench.gateway(accounts=number)
            await stack.enter_async_context(gateway.running())
            requests = [gateway.create_request(key) for key in range(number)]
            creates.append(Target(name, gateway, requests))
        made = await _by_connections(bench, creates, (64,), Rounds.of(bench))
    return {"create": _json(made), "get": _json(found)}


async def _create(
    bench: Bench, connections: tuple[int, ...], rounds: Rounds, kinds: Mapping[str, str]
) -> ByConnections:
    gateway = bench.gateway()
    request = request_bytes("POST", JOBS, body=MUSIC_REQUEST)
    async with AsyncExitStack() as stack:
        limits = await _limits(bench, stack, b"{}", request, kinds)
        await stack.enter_async_context(gateway.running())
        calls = bench.vendor.calls
        before = calls["create"]

        def check(target: Target, answered: int) -> None:
            # A gateway that queues its creates answers fast and measures nothing.
            nonlocal before
            made, before = calls["create"] - before, calls["create"]
            if made != answered:
                sys.exit(f"{target.name}: {answered} answers, but {made} calls to the vendor")

        target = Target("musicgate", gateway, [gateway.create_request()])
        return await _by_connections(bench, [*limits, target], connections, rounds, check)


async def _get(bench: Bench, connections: tuple[int, ...], rounds: Rounds) -> ByConnections:
    gateway = bench.gateway(speed=20)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gateway.running())
        (job_id,) = await finished_jobs(bench, gateway)
        body = (await gateway.get(job_id)).body
        limits = await _limits(bench, stack, body, request_bytes("GET", f"{JOBS}/{job_id}"), _LIMITS)
        target = Target("musicgate", gateway, [gateway.get_request(job_id)])
        return await _by_connections(bench, [*limits, target], connections, rounds)


async def _limits(
    bench: Bench, stack: AsyncExitStack, body: bytes, request: bytes, kinds: Mapping[str, str]
) -> list[Target]:
    """The bare aiohttp servers."""
    file = bench.new_folder("limit") / "body"
    file.write_bytes(body)
    targets = []
    for name, kind in kinds.items():
        server = bench.script("limits", f"{bench.vendor.url}{CREATE.decode()}", str(file), kind)
        await stack.enter_async_context(server.running())
        targets.append(Target(name, server, [request]))
    return targets


async def _by_connections(
    bench: Bench,
    targets: list[Target],
    connections: tuple[int, ...],
    rounds: Rounds,
    after_run: Callable[[Target, int], None] | None = None,
) -> ByConnections:
    found = {}
    for number in connections:
        # With many connections even one request of each takes seconds.
        longer = attrs.evolve(rounds, seconds=max(rounds.seconds, number / _ANSWERS_PER_S))
        found[str(number)] = await compare(bench, targets, number, longer, after_run)
    return found


def _json(found: ByConnections) -> dict[str, object]:
    return {
        number: {name: attrs.asdict(figures) for name, figures in row.items()}
        for number, row in found.items()
    }
