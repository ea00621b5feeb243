"""Faults of declarations."""

from decimal import Decimal
from typing import Any

import attrs

from musicgate.model import (
    Ability,
    Limits,
    Number,
    PollSchedule,
    Rights,
    RightsStatement,
    Timeouts,
)
from tests.compliance import broken, tiny_plugin
from tests.compliance.fault import Fault, fault
from tests.compliance.tiny_plugin import OFFER, OPTIONS_SCHEMA, PROVIDER, SETTINGS_SCHEMA, tiny

_PRICE = OFFER.prices[0]
_SONGS: Any = "songs"
_NO_HOOKS: dict[str, Any] = dict.fromkeys(tiny_plugin.HOOKS)


def _job_changed(before: object, after: object) -> None:
    """A hook of an observer, which declares no provider."""


def _without(schema: dict[str, Any], option: str, key: str) -> dict[str, Any]:
    """Properties of a schema where one lacks a key."""
    properties = dict(schema["properties"])
    properties[option] = {name: value for name, value in properties[option].items() if name != key}
    return properties


FAULTS: tuple[Fault, ...] = (
    fault("it_loads", "built for another hook API", "hook API 99", lambda: tiny(HOOK_API=99)),
    fault("it_loads", "a required hook is missing", "map_status", lambda: tiny(map_status=None)),
    fault("it_loads", "declares no provider", "provider", lambda: tiny(
        job_changed=_job_changed, **_NO_HOOKS)),
    fault("names_agree", "another package name", "musicgate_tiny", lambda: tiny("tiny")),
    fault("names_agree", "a blank label", "label", lambda: broken.declares(label=" ")),
    fault("address_and_variables", "http", "https://", lambda: broken.declares(base_url="http://api.tiny.example")),
    fault("address_and_variables", "a trailing slash", "slash", lambda: broken.declares(base_url="https://api.tiny.example/")),
    fault("address_and_variables", "a strange variable", "key_env", lambda: broken.declares(key_env="tiny-key")),
    fault("address_and_variables", "one variable for two", "share", lambda: broken.declares(base_url_env="TINY_API_KEY")),
    fault("address_and_variables", "an invalid header name", "header", lambda: broken.declares(
        auth=attrs.evolve(PROVIDER.auth, header="Authorization:"))),
    fault("offers", "an alias of two offers", "names two offers", lambda: broken.declares(
        offers=(OFFER, attrs.evolve(OFFER, model="tiny/other", aliases=("TINY-song",))))),
    fault("offers", "an id in capitals", "lower case", lambda: broken.offers(model="Tiny/Song")),
    fault("offers", "a limit without its ability", "`lyrics`", lambda: broken.offers(
        abilities=frozenset({Ability.STYLE}), limits=Limits(lyrics_chars=10))),
    fault("offers", "a price in cents", "no US dollars", lambda: broken.offers(
        prices=(attrs.evolve(_PRICE, price_usd=Decimal(500)),))),
    fault("offers", "a price per nothing", "units of 0", lambda: broken.offers(
        prices=(attrs.evolve(_PRICE, unit_size=Decimal(0)),))),
    fault("offers", "an unknown format", "formats", lambda: broken.offers(formats=("mp4",))),
    fault("times", "a schedule upside down", "max_s", lambda: broken.declares(poll=PollSchedule(min_s=9.0, max_s=3.0))),
    fault("times", "a negative time-out", "read_s", lambda: broken.declares(timeouts=Timeouts(read_s=-1.0))),
    fault("times", "a song longer than its deadline", "deadline_s", lambda: broken.declares(typical_s=5_000.0)),
    fault("times", "a blocking call that times out too soon", "blocking", lambda: broken.declares(
        blocking=True, typical_s=90.0)),
    fault("option_schema", "no JSON Schema", "no JSON Schema", lambda: broken.options(type="objekt")),
    fault("option_schema", "an example that breaks it", "example 0", lambda: broken.options(examples=[{"tempo": 1}])),
    fault("option_schema", "an option without description", "description", lambda: broken.options(
        properties=_without(OPTIONS_SCHEMA, "mood", "description"))),
    fault("option_schema", "no examples", "examples", lambda: broken.options(examples=[])),
    fault("schema_allows_declared_values", "a narrower schema", "does not allow '30'", lambda: broken.offers(
        abilities=frozenset(), fields=(Number("tempo", minimum=30, maximum=200, whole=True),))),
    fault("schema_allows_declared_values", "another kind of value", "does not allow '1'", lambda: broken.offers(
        abilities=frozenset(), fields=(Number("mood"),))),
    fault("settings_schema", "a setting without default", "no default", lambda: broken.declares(
        settings_schema={**SETTINGS_SCHEMA, "properties": _without(SETTINGS_SCHEMA, "region", "default")})),
    fault("settings_schema", "a default that breaks it", "defaults", lambda: broken.declares(
        settings_schema={**SETTINGS_SCHEMA, "properties": {"region": {"description": "x", "type": "integer", "default": "eu"}}})),
    fault("settings_schema", "takes misspelt settings", "misspelt", lambda: broken.declares(
        settings_schema={**SETTINGS_SCHEMA, "additionalProperties": True})),
    fault("names_agree", "a name in capitals", "lower-case", lambda: tiny(
        "musicgate_Tiny", provider=broken.declares(plugin="Tiny").provider)),
    fault("names_agree", "a blank family name", "Provider.name", lambda: broken.declares(name="")),
    fault("names_agree", "a blank block", "option_block", lambda: broken.declares(option_block="")),
    fault("address_and_variables", "no host", "no host", lambda: broken.declares(base_url="https:///v1")),
    fault("address_and_variables", "a query", "holds a query", lambda: broken.declares(base_url="https://tiny.example/v1?a=b")),
    fault("address_and_variables", "a fragment", "holds a fragment", lambda: broken.declares(base_url="https://tiny.example/v1#a")),
    fault("address_and_variables", "auth as a text", "not a HeaderAuth", lambda: broken.declares(auth="Bearer")),
    fault("address_and_variables", "a scheme of two words", "auth.scheme", lambda: broken.declares(
        auth=attrs.evolve(PROVIDER.auth, scheme="Bearer of"))),
    fault("offers", "a blank id", "id is blank", lambda: broken.offers(model="", aliases=())),
    fault("offers", "an ability as a text", "no Ability", lambda: broken.offers(abilities=frozenset({"singing"}))),
    fault("offers", "a choice of no formats", "no format to choose", lambda: broken.offers(formats=())),
    fault("offers", "no tracks", "gives 0 tracks", lambda: broken.offers(tracks=0)),
    fault("offers", "a limit of nothing", "limits.prompt_chars is 0", lambda: broken.offers(limits=Limits(prompt_chars=0))),
    fault("offers", "a meter as a text", "no Meter", lambda: broken.offers(prices=(attrs.evolve(_PRICE, meter=_SONGS),))),
    fault("offers", "two prices for one thing", "same meter", lambda: broken.offers(prices=(_PRICE, _PRICE))),
    fault("offers", "rights without a source", "rights.retention has no public source", lambda: broken.declares(
        rights=Rights(retention=RightsStatement(text="a week", source="the sales team", as_of="2026-08")))),
    fault("offers", "rights without a date", "rights.watermark has no date", lambda: broken.offers(
        rights=Rights(watermark=RightsStatement(text="none", source="https://vendor.test", as_of="lately")))),
    fault("times", "ten polls a second", "flood", lambda: broken.declares(poll=PollSchedule(min_s=0.1))),
    fault("times", "a create call beyond the deadline", "timeouts.create_s", lambda: broken.declares(
        timeouts=Timeouts(create_s=9_000.0))),
    fault("times", "a stage as a text", "no Stage", lambda: broken.declares(stage="ready")),
    fault("option_schema", "a block that is a text", "`type` has to say so", lambda: broken.options(type="string")),
    fault("option_schema", "another dialect", "is written in", lambda: broken.options(**{"$schema": "http://json-schema.org/draft-07/schema#"})),
    fault("settings_schema", "a setting without description", "no description", lambda: broken.declares(
        settings_schema={**SETTINGS_SCHEMA, "properties": _without(SETTINGS_SCHEMA, "region", "description")})),
)  # fmt: skip
