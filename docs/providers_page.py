"""Generate docs/providers.md from the plugins' declarations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docs.markdown import GENERATED, mark, number, seconds, table
from musicgate.model import (
    Ability,
    Field,
    Meter,
    Offer,
    PriceRule,
    Provider,
    RightsStatement,
)

_UNITS = {Meter.REQUESTS: "request", Meter.OUTPUT_AUDIO_SECONDS: "s", Meter.OUTPUT_AUDIO_COUNT: "track"}


def providers_page(providers: Sequence[Provider]) -> str:
    """Render which provider makes which model, with what limits, at what price."""
    parts = [
        GENERATED,
        "# Providers",
        (
            "What the plugins of this repository declare. `musicgate models` and `musicgate providers` show the same "
            "for your installation."
        ),
        "## Overview",
        _overview(providers),
        "## Fields that each model supports",
        (
            "✓: the field reaches the vendor. -: it is reported in `warnings`. `format` lists the formats that a "
            "request may name."
        ),
        _abilities(providers),
        "## Limits and prices",
        (
            "Lengths of texts are in the vendor's unit of characters. -: not stated by the vendor. Prices are in USD, "
            "from the vendors' public pages."
        ),
        _limits(providers),
        "## Rights",
        (
            "What the vendors say about commercial use, watermarks and how long they keep the audio, with the page and "
            "its date. It is no advice: the vendor's page holds."
        ),
        _rights(providers),
        "## Native fields",
        (
            "What musicgate checks before anything is sent, by the vendor's names. An error names the option where the "
            "caller gave it. Plugins that are not listed check their requests themselves."
        ),
        _fields(providers),
        *(_plugin(provider) for provider in providers),
    ]
    return "\n\n".join(parts) + "\n"


def _overview(providers: Sequence[Provider]) -> str:
    head = ("plugin", "provider", "stage", "key", "how", "callbacks", "usual", "deadline", "links live")
    rows = [
        (
            f"[{one.plugin}](#{one.plugin})",
            f"`{one.name}`",
            one.stage.value,
            f"`{one.key_env}`",
            "one long call" if one.blocking else "polled",
            ("signed" if one.webhook_secret_env else "unsigned") if one.callbacks else "-",
            seconds(one.typical_s),
            seconds(one.deadline_s),
            seconds(one.retention_s),
        )
        for one in providers
    ]
    return table(head, rows)


def _abilities(providers: Sequence[Provider]) -> str:
    head = ("model", "plugin", "tracks", *(f"`{ability.value}`" for ability in Ability))
    rows = [
        (
            f"`{offer.model}`",
            one.plugin,
            str(offer.tracks),
            *(
                ", ".join(offer.formats)
                if ability is Ability.FORMAT and ability in offer.abilities
                else mark(ability in offer.abilities)
                for ability in Ability
            ),
        )
        for one, offer in _offers(providers)
    ]
    return table(head, rows)


def _limits(providers: Sequence[Provider]) -> str:
    head = ("model", "plugin", "native", "prompt", "lyrics", "style", "title", "longest", "price")
    rows = [
        (
            f"`{offer.model}`",
            one.plugin,
            f"`{offer.native_model}`" if offer.native_model else "by settings",
            *(
                number(value)
                for value in (
                    offer.limits.prompt_chars,
                    offer.limits.lyrics_chars,
                    offer.limits.style_chars,
                    offer.limits.title_chars,
                )
            ),
            seconds(offer.limits.max_duration_s),
            _price(offer),
        )
        for one, offer in _offers(providers)
    ]
    return table(head, rows)


def _rights(providers: Sequence[Provider]) -> str:
    head = ("plugin", "of", "commercial use", "watermark", "retention")
    rows: list[tuple[str, ...]] = []
    for one in providers:
        apart = [offer for offer in one.offers if offer.rights is not None]
        of = [(one.rights, "every model" if not apart else "every other model")]
        of += [(offer.rights or one.rights, f"`{offer.model}`") for offer in apart]
        rows += [
            (one.plugin, models, *map(_said, (rights.commercial_use, rights.watermark, rights.retention)))
            for rights, models in of
        ]
    return table(head, rows)


def _said(statement: RightsStatement | None) -> str:
    return "unknown" if statement is None else f"{statement.text} ([{statement.as_of}]({statement.source}))"


def _fields(providers: Sequence[Provider]) -> str:
    head = ("plugin", "field", "of", "carries", "takes")
    rows: list[tuple[str, ...]] = []
    for one in providers:
        declaring = [offer for offer in one.offers if offer.fields]
        distinct: list[Field] = []
        for field in (field for offer in declaring for field in offer.fields):
            if field not in distinct:
                distinct.append(field)
        for field in sorted(distinct, key=lambda field: field.name):
            having = [offer for offer in declaring if field in offer.fields]
            names = ", ".join(f"`{offer.model}`" for offer in having)
            carried = [f"`{name}`" for name in (field.neutral, *field.carries) if name]
            of = "every model" if len(having) == len(declaring) else names
            rows.append(
                (one.plugin, f"`{field.name}`", of, ", ".join(carried) or "-", field.takes() + _when(field))
            )
    return table(head, rows)


def _when(field: Field) -> str:
    conditions = [f"`{name}` is {value!r}" for name, value in field.when.items()]
    return f" where {' and '.join(conditions)}" if conditions else ""


def _plugin(one: Provider) -> str:
    aliases = ", ".join(f"`{alias}`" for alias in dict.fromkeys((one.name, one.plugin, *one.aliases)))
    scheme = f"{one.auth.scheme} " if one.auth.scheme else ""
    variables = [one.key_env, one.base_url_env, *filter(None, [one.webhook_secret_env])]
    polls = (
        "never"
        if one.blocking
        else f"after {seconds(one.poll.first_s)}, then every {one.poll.min_s:g} to {one.poll.max_s:g} s"
    )
    timeouts = one.timeouts
    times = f"connect {timeouts.connect_s:g} s, create {timeouts.create_s:g} s, read {timeouts.read_s:g} s"
    rows = [
        ("names", aliases),
        ("address", f"`{one.base_url}`"),
        ("environment", ", ".join(f"`{name}`" for name in variables)),
        ("key goes into", f"`{one.auth.header}: {scheme}...`"),
        ("option block", f"`{one.option_block}`"),
        ("priority", f"{one.priority} (smaller is asked first)"),
        (
            "other models",
            f"accepted as `{one.name}/<native name>`" if one.raw_models else "refused",
        ),
        ("polled", polls),
        ("time-outs", times),
        ("create calls at a time", number(one.max_parallel_creates) if one.max_parallel_creates else "any"),
        (
            "rate limit of create calls",
            f"{one.create_window.calls} in {one.create_window.per_s:g} s" if one.create_window else "any",
        ),
        ("largest answer", f"{one.max_answer_bytes // 1024**2} MiB"),
        ("vendor's page", f"<{one.docs_url}>" if one.docs_url else "-"),
    ]
    properties: Mapping[str, Any] = one.settings_schema.get("properties", {})  # type: ignore[assignment]  # a JSON Schema
    settings = [
        (f"`{name}`", _kinds(schema), f"`{json.dumps(schema['default'])}`", schema.get("description", ""))
        for name, schema in properties.items()
    ]
    readme = f"[Its page](../plugins/{one.plugin}/README.md)"
    return "\n\n".join(
        [
            f"## {one.plugin}",
            f"{one.label}. {readme} describes how each option is translated, and the emulator's switches.",
            table(("what", "declared"), rows),
            f"Settings in `[providers.{one.plugin}]`, beside [those of every plugin](settings.md#providersplugin):",
            table(("setting", "value", "default", "meaning"), settings),
        ]
    )


def _kinds(schema: Mapping[str, Any]) -> str:
    return ", ".join(f"`{value}`" for value in schema["enum"]) if "enum" in schema else str(schema["type"])


def _offers(providers: Iterable[Provider]) -> list[tuple[Provider, Offer]]:
    pairs = [(one, offer) for one in providers for offer in one.offers]
    return sorted(pairs, key=lambda pair: (pair[1].model, pair[0].priority))


def _price(offer: Offer) -> str:
    rules = [f"{rule.price_usd.normalize():f} per {_unit(rule)}" for rule in offer.prices]
    return f"ended on {offer.ended}" if offer.ended else " + ".join(rules) or "not known"


def _unit(rule: PriceRule) -> str:
    unit = _UNITS[rule.meter]
    return unit if rule.unit_size == 1 else f"{rule.unit_size.normalize():f} {unit}"
