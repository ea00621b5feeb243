"""``providers``, ``models`` and ``plugins``: list what is installed; no vendor is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from musicgate.cli.options import AS_JSON, CONFIG
from musicgate.cli.plugin_group import PluginGroup

if TYPE_CHECKING:
    from musicgate.hosting import InstalledProvider, PluginRecord
    from musicgate.model import Offer


@click.command()
@AS_JSON
@CONFIG
def providers(*, as_json: bool, config: str | None) -> None:
    """List the providers in their default order, and whether they have a key."""
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json
    from musicgate.views import render_provider

    found = _enabled(config)
    if as_json:
        data = [render_provider(installed.provider, has_key=installed.can_be_called) for installed in found]
        print_json({"object": "list", "data": data})
        return
    rows = [
        (
            installed.name,
            installed.provider.name,
            installed.provider.stage.value,
            _key_of(installed),
            str(len(installed.provider.offers)),
            installed.settings.base_url,
        )
        for installed in found
    ]
    print_table(
        ("plugin", "provider", "stage", "key", "models", "address"), rows, empty="no provider is installed"
    )


@click.command()
@AS_JSON
@CONFIG
def models(*, as_json: bool, config: str | None) -> None:
    """List the public model ids with the plugins that offer them, their formats and prices."""
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json
    from musicgate.views import render_models

    enabled = _enabled(config)
    if as_json:
        print_json(render_models((found.provider, found.can_be_called) for found in enabled))
        return
    offers = [(installed, offer) for installed in enabled for offer in installed.provider.offers]
    offers.sort(key=lambda pair: pair[1].model)
    rows = [
        (
            offer.model,
            installed.name,
            offer.native_model or "-",
            str(offer.tracks),
            "/".join(offer.formats) or "-",
            _price(offer),
        )
        for installed, offer in offers
    ]
    print_table(
        ("model", "plugin", "native", "tracks", "formats", "price"), rows, empty="no model is offered"
    )


@click.group(cls=PluginGroup, invoke_without_command=True)
@AS_JSON
@click.pass_context
def plugins(context: click.Context, *, as_json: bool) -> None:
    """List the installed plugins, or check or create one. Exit with 1 if one is broken."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(f"--json: put it after '{context.invoked_subcommand}'.")
        return
    from musicgate.cli import FailedError
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json
    from musicgate.hosting import load_plugins

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


def _key_of(installed: InstalledProvider) -> str:
    if installed.key:
        return "set"
    return "not needed" if installed.provider.key_optional else f"set {installed.provider.key_env}"


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


def _enabled(config: str | None) -> list[InstalledProvider]:
    """The enabled providers, in their default order."""
    from musicgate.cli.configuration import read_all
    from musicgate.hosting import installed_providers

    found = installed_providers(*read_all(config))
    return sorted(found.values(), key=lambda installed: (installed.provider.priority, installed.name))


def _price(offer: Offer) -> str:
    units = {"requests": "request", "output_audio_seconds": "s", "output_audio_count": "track"}
    parts = []
    for rule in offer.prices:
        size = "" if rule.unit_size == 1 else f"{rule.unit_size.normalize():f} "
        parts.append(f"${rule.price_usd.normalize():f} per {size}{units[rule.meter.value]}")
    return " + ".join(parts) or "not known"
