"""``providers``, ``models`` and ``plugins``: what is installed and what can be asked; nobody is called for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from musicgate.cli.plugin_group import PluginGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.gateway.context import LiveProvider
    from musicgate.model import Offer
    from musicgate.plugins import PluginRecord

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_CONFIG = click.option(
    "--config", metavar="FILE", help="Settings file.  [default: musicgate.toml, if there is one]"
)


@click.command()
@_JSON
@_CONFIG
def providers(*, as_json: bool, config: str | None) -> None:
    """List the providers that can be asked, in the default order, and whether they have a key."""
    from musicgate.catalogue import render_provider
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json

    found = _live(config)
    if as_json:
        data = [render_provider(live.provider, has_key=live.key is not None) for live in found]
        print_json({"object": "list", "data": data})
        return
    rows = [
        (
            live.name,
            live.provider.name,
            live.provider.stage.value,
            "set" if live.key else f"set {live.provider.key_env}",
            str(len(live.provider.offers)),
            live.settings.base_url,
        )
        for live in found
    ]
    print_table(
        ("plugin", "provider", "stage", "key", "models", "address"), rows, empty="no provider is installed"
    )


@click.command()
@_JSON
@_CONFIG
def models(*, as_json: bool, config: str | None) -> None:
    """List the public model ids, with who offers them, what they can be told and what they cost."""
    from musicgate.catalogue import render_offer
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json

    offers = [(live, offer) for live in _live(config) for offer in live.provider.offers]
    offers.sort(key=lambda pair: pair[1].model)
    if as_json:
        by_model: dict[str, dict[str, object]] = {}
        for model in dict.fromkeys(offer.model for _, offer in offers):
            same = [(live, offer) for live, offer in offers if offer.model == model]
            shown = [render_offer(live.provider, offer, has_key=live.key is not None) for live, offer in same]
            aliases = sorted({alias for _, offer in same for alias in offer.aliases})
            by_model[model] = {"id": model, "object": "model", "aliases": aliases, "offers": shown}
        print_json({"object": "list", "data": list(by_model.values())})
        return
    rows = [
        (
            offer.model,
            live.name,
            offer.native_model or "-",
            str(offer.tracks),
            "/".join(offer.formats) or "-",
            _price(offer),
        )
        for live, offer in offers
    ]
    print_table(
        ("model", "plugin", "native", "tracks", "formats", "price"), rows, empty="no model is offered"
    )


@click.group(cls=PluginGroup, invoke_without_command=True)
@_JSON
@click.pass_context
def plugins(context: click.Context, *, as_json: bool) -> None:
    """List the installed plugins; exit code 1 if one of them does not work. Or check one, or begin a new one."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"--json goes behind {context.invoked_subcommand}.")
        return
    from musicgate.cli import FailedError
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json
    from musicgate.plugins import load_plugins

    records = load_plugins().records
    if as_json:
        print_json({"object": "list", "data": [_record(record) for record in records]})
    else:
        rows = [
            (
                record.name,
                record.distribution or "-",
                record.version or "-",
                str(record.hook_api or "-"),
                record.provider.name if record.provider else "-",
                f"{record.load_ms:.0f} ms",
                record.error or "ok",
            )
            for record in records
        ]
        head = ("plugin", "distribution", "version", "hook api", "provider", "load", "state")
        print_table(head, rows, empty="no plugin is installed")
    if any(record.error for record in records):
        context.exit(FailedError.exit_code)


def _record(record: PluginRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "hook_api": record.hook_api,
        "provider": record.provider.name if record.provider else None,
        "load_ms": round(record.load_ms, 1),
        "error": record.error,
    }


def _live(config: str | None) -> list[LiveProvider]:
    """The providers that are not switched off, in the operator's order."""
    from musicgate.adapters.clock import SystemClock
    from musicgate.cli.configuration import read_all
    from musicgate.gateway.compose import live_providers

    found = live_providers(*read_all(config), SystemClock())
    by_order: Callable[[LiveProvider], tuple[int, str]] = lambda live: (live.provider.priority, live.name)  # noqa: E731
    return sorted(found.values(), key=by_order)


def _price(offer: Offer) -> str:
    units = {"requests": "request", "output_audio_seconds": "s", "output_audio_count": "track"}
    parts = []
    for rule in offer.prices:
        size = "" if rule.unit_size == 1 else f"{rule.unit_size.normalize():f} "
        parts.append(f"${rule.price_usd.normalize():f} per {size}{units[rule.meter.value]}")
    return " + ".join(parts) or "not known"
