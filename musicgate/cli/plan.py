"""``musicgate plan``: print the plan of a request; nothing is sent, stored or spent."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from musicgate.cli.options import AS_JSON, CONFIG
from musicgate.cli.request_fields import build_body, request_options
from musicgate.cli.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command()
@request_options
@AS_JSON
@CONFIG
def plan(*, as_json: bool, config: str | None, strict: bool, **options: Any) -> None:
    """Show the candidates for PROMPT in order, with native requests and prices. Nothing is sent."""
    from musicgate.cli.terminal import print_json, say

    answer = asyncio.run(_make(build_body(options), config, strict=strict))
    if as_json:
        print_json(answer)
    else:
        say("\n".join(plan_lines(answer)))


async def _make(body: dict[str, Any], config: str | None, *, strict: bool) -> dict[str, Any]:
    import tempfile
    from pathlib import Path

    import attrs

    from musicgate.cli.configuration import read_all
    from musicgate.gateway import Gateway
    from musicgate.settings import AssetSettings, StoreSettings
    from musicgate.views import render_plan

    settings, plugins = read_all(config)
    with tempfile.TemporaryDirectory(prefix="musicgate-plan-") as folder:
        # A temporary store: a plan must not wait for a running gateway, and must not continue its jobs.
        aside = attrs.evolve(settings, store=StoreSettings(), assets=AssetSettings(), data_dir=Path(folder))
        async with Gateway.open(aside, plugins=plugins) as gateway:
            request = gateway.read(body)
            return render_plan(request, gateway.plan(request, strict=strict))


def plan_lines(answer: Mapping[str, Any]) -> list[str]:
    """Format a plan for people."""
    lines = [f"model {visible(answer['model'])}"]
    for number, candidate in enumerate(answer["candidates"], 1):
        request = candidate["upstream_request"]
        key = "" if candidate.get("configured", True) else "  (no API key: would be skipped)"
        lines.append(f"\n{number}. {candidate['provider_plugin']}, {visible(candidate['native_model'])}{key}")
        lines.append(f"   price   {_price(candidate.get('price'))}")
        lines += [
            f"   warning {visible('.'.join(map(str, warning['path'])))}: {visible(warning['message'])}"
            for warning in candidate["warnings"]
        ]
        lines.append(f"   {request['method']} {visible(request['url'])}")
        body = json.dumps(request["body"], ensure_ascii=False, indent=2)
        lines += [f"   {line}" for line in body.splitlines()]
    if answer["excluded"]:
        lines.append("\nexcluded")
        lines += [
            f"   {item['provider_plugin']}: {visible(item['message'])} ({item['reason']})"
            for item in answer["excluded"]
        ]
    return lines


def _price(price: Mapping[str, Any] | None) -> str:
    total = price.get("total_usd_str") if price else None
    return f"${total}" if total else "not known in advance"
