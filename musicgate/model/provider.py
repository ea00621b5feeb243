"""What a plugin declares of its provider: names, offers, prices, schedules; no behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum

import attrs

from musicgate.model.callback_signature import CallbackSignature
from musicgate.model.fields import (
    Field,
    FieldViolation,
    Number,
    Text,
    TextUnit,
    declared_names,
    holds,
    value_of,
    violations,
)
from musicgate.model.json_types import JsonObject, JsonValue
from musicgate.model.rights import Rights
from musicgate.model.state import JobState


class Stage(StrEnum):
    """How mature a provider is; decides who may be routed to it."""

    ACTIVE = "active"
    BETA = "beta"
    ALPHA = "alpha"
    NOT_READY = "not_ready"


class Meter(StrEnum):
    """What a price counts; the names are those of the ``usage`` object."""

    REQUESTS = "requests"
    OUTPUT_AUDIO_SECONDS = "output_audio_seconds"
    OUTPUT_AUDIO_COUNT = "output_audio_count"


@attrs.frozen(kw_only=True)
class PriceRule:
    """One line of a rate card: ``price_usd`` per ``unit_size`` of ``meter``."""

    meter: Meter
    price_usd: Decimal
    unit_size: Decimal = Decimal(1)

    @classmethod
    def per_song(cls, usd: str) -> PriceRule:
        """So many US dollars for a request."""
        return cls(meter=Meter.REQUESTS, price_usd=Decimal(usd))

    @classmethod
    def per_second(cls, usd: str, *, seconds: int = 1) -> PriceRule:
        """So many US dollars for so many seconds of audio."""
        return cls(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal(usd), unit_size=Decimal(seconds))

    def units(self, length_s: float, count: int = 1) -> float:
        """How many units a request for ``count`` songs of that length is, fractions of a unit included."""
        quantity = {Meter.REQUESTS: 1, Meter.OUTPUT_AUDIO_COUNT: count}.get(self.meter, length_s * count)
        return quantity / float(self.unit_size)


@attrs.frozen(kw_only=True)
class HeaderAuth:
    """How the vendor wants its key: in which header, behind which scheme word.

    The gateway adds this header at the moment of sending; a plugin never sees the key, so no translation can
    leak it.
    """

    header: str = "Authorization"
    #: Word before the key, e.g. ``Bearer``; empty = the bare key.
    scheme: str = "Bearer"

    def value(self, key: str) -> str:
        """The header's value for a key."""
        return f"{self.scheme} {key}" if self.scheme else key


@attrs.frozen(kw_only=True)
class PollSchedule:
    """When to poll an open job.

    First after ``first_s``, then every ``min_s``, growing with the job's age to ``max_s``.
    """

    first_s: float = 5.0
    min_s: float = 5.0
    max_s: float = 15.0


@attrs.frozen(kw_only=True)
class RateWindow:
    """At most ``calls`` in any ``per_s`` seconds, as a vendor counts them."""

    calls: int
    per_s: float


@attrs.frozen(kw_only=True)
class Timeouts:
    """Time-outs of a call, in seconds. A time-out of ours says nothing about the song."""

    connect_s: float = 10.0
    #: From the first byte of a create call to the last byte of its answer.
    create_s: float = 60.0
    #: The same for every other call.
    read_s: float = 30.0


@attrs.frozen(kw_only=True)
class Limits:
    """Longest texts that an offer takes, in the vendor's unit; None = not stated.

    For people. An offer that declares its ``fields`` has these limits from them, and the core enforces them;
    where an offer states limits and no fields, the translation enforces.
    """

    prompt_chars: int | None = None
    lyrics_chars: int | None = None
    style_chars: int | None = None
    title_chars: int | None = None
    max_duration_s: float | None = None
    min_duration_s: float | None = None
    #: Shortest prompt.
    min_prompt_chars: int | None = None
    text_unit: TextUnit | None = None

    @classmethod
    def of(cls, fields: Sequence[Field], *, max_duration_s: float | None = None) -> Limits:
        """The limits that fields state for the neutral fields that they carry.

        Args:
            max_duration_s: of a vendor that makes songs up to a length and has no field for it.
        """
        carried = {field.neutral: field for field in fields if field.neutral is not None}
        texts = {name: field for name, field in carried.items() if isinstance(field, Text)}
        longest = {name: field.max_chars for name, field in texts.items()}
        prompt, length = texts.get("prompt"), carried.get("duration")
        seconds = (
            (length.minimum, length.maximum, length.per_neutral)
            if isinstance(length, Number)
            else (None, None, 1)
        )
        return cls(
            prompt_chars=longest.get("prompt"),
            lyrics_chars=longest.get("lyrics"),
            style_chars=longest.get("style"),
            title_chars=longest.get("title"),
            max_duration_s=max_duration_s if seconds[1] is None else seconds[1] / seconds[2],
            min_duration_s=None if seconds[0] is None else seconds[0] / seconds[2],
            min_prompt_chars=prompt.min_chars or None if prompt else None,
            text_unit=next((field.unit for field in texts.values()), None),
        )


class Ability(StrEnum):
    """Neutral fields that an offer can express; others become a warning and count in routing."""

    DURATION = "duration"
    FORMAT = "format"
    LYRICS = "lyrics"
    STYLE = "style"
    TITLE = "title"
    NEGATIVE_STYLE = "negative_style"
    INSTRUMENTAL = "instrumental"
    VOCAL_GENDER = "vocal_gender"
    SEED = "seed"


def _carried(fields: Sequence[Field]) -> frozenset[Ability]:
    """The abilities that follow from the neutral fields that native fields carry."""
    names = {name for field in fields for name in (field.neutral, *field.carries)}
    return frozenset(ability for ability in Ability if ability.value in names)


@attrs.frozen(kw_only=True)
class Offer:
    """One plugin's offer of one public model.

    Attributes:
        model: canonical public id, lower case, e.g. ``suno/v4.5plus``.
        aliases: other public ids for the same thing; compared without case.
        native_model: the vendor's name of it; None = the plugin's settings decide.
        abilities: the neutral fields that it can express; those of ``fields`` unless stated.
        tracks: how many tracks one request gives.
        formats: containers that the vendor makes; a request for another one is converted.
        prices: rate card in USD; empty = price unknown.
        ended: day since which the vendor makes no songs with it; None = it does, as far as is known. Requests
            for it are sent all the same: the vendor decides.
        fields: the fields of the native request, by the vendor's names. What they rule out is refused before
            anything is sent. Empty = the translation checks everything itself.
        limits: for people; those of ``fields`` unless stated.
        rights: where the vendor says something else about this model than about all; None = the provider's.
    """

    model: str
    native_model: str | None
    aliases: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    abilities: frozenset[Ability] = attrs.field(
        default=attrs.Factory(lambda self: _carried(self.fields), takes_self=True)
    )
    formats: tuple[str, ...] = ("mp3",)
    limits: Limits = attrs.field(default=attrs.Factory(lambda self: Limits.of(self.fields), takes_self=True))
    tracks: int = 1
    prices: tuple[PriceRule, ...] = ()
    rights: Rights | None = None
    ended: date | None = None

    def violations(self, native: Mapping[str, JsonValue]) -> tuple[FieldViolation, ...]:
        """What in a native request the offer's ``fields`` rule out; for the core and for emulators."""
        return tuple(violations(self.fields, native))

    def asked(self, neutral: str, native: Mapping[str, JsonValue]) -> JsonValue:
        """What a native request says of a neutral field, in neutral terms; None for nothing."""
        carrying = (field for field in self.fields if field.neutral == neutral and holds(field.when, native))
        field = next(carrying, None)
        value = None if field is None else value_of(native, field.name)
        return None if field is None or value is None else field.neutral_of(value)

    def declares(self, name: str) -> bool:
        """True if there is a native field of that name."""
        return name in declared_names(self.fields)

    def makes(self, wanted: str) -> bool:
        """True if the vendor makes this container itself: one of several, or the only one."""
        return wanted in self.formats

    def answers_to(self, model: str) -> bool:
        """True if ``model`` names this offer; case does not matter."""
        wanted = model.strip().lower()
        return wanted == self.model.lower() or wanted in {alias.lower() for alias in self.aliases}


@attrs.frozen(kw_only=True)
class Provider:
    """One plugin's declaration.

    Attributes:
        name: family name as the caller knows it (``suno``); two plugins may share it.
        plugin: the plugin's own name (``suno_kie``), equal to its entry-point name.
        label: name for people.
        aliases: other spellings of either name, e.g. ``eleven-labs``.
        base_url: where the vendor is, without a trailing slash; the operator may override it.
        key_env: environment variable that holds the key.
        base_url_env: environment variable that overrides ``base_url``.
        webhook_secret_env: environment variable of the callback secret, or None where the vendor does not
            sign.
        option_block: name of the request's option block that this plugin reads.
        options_schema: JSON Schema 2020-12 of that block; plugins that share a block declare the same schema.
        settings_schema: JSON Schema of the plugin's own settings; every property has a default.
        raw_models: True if any unlisted native model of this vendor may be requested as ``<name>/<native>``.
        priority: position in the default order, smaller first; the operator may override it.
        blocking: the create call lasts as long as the song; there is nothing to poll.
        callbacks: the vendor can call us back with an id that adopts a job.
        typical_s: usual seconds from create to done; for progress bars, never for decisions.
        deadline_s: seconds after which an open job is given up.
        retention_s: shortest known life of the vendor's media links in seconds, or None.
        max_answer_bytes: largest API answer that is read.
        max_parallel_creates: how many create calls may run at a time, or None; the operator may override it.
        create_window: how many create calls the vendor takes in which time, or None. Calls beyond either
            limit wait.
        docs_url: the vendor's page.
        statuses: the state that each native status means, whatever its case and surrounding blanks. A
            ``map_status`` hook is asked first, where there is one.
        model_option: the option of the vendor block that names another native model than the offer does.
        model_setting: the plugin's setting that names the native model of offers without one.
        raw_offers: how unlisted native models are treated: like the offer here whose ``native_model``
            begins their name, the longest one; ``""`` begins every name. Without any they have all abilities
            and no fields.
        key_optional: the vendor may be used without a key (a server of the operator's own).
        media_needs_key: links at the vendor's own address want the key as well. It is sent to links that
            begin with the base URL alone, and to no address that they redirect to.
        callback_signature: how the vendor signs its callbacks; None = not at all, or in a way that the
            ``parse_callback`` hook verifies.
        rights: what the vendor says about commercial use, watermarks and retention of its songs.
    """

    name: str
    plugin: str
    label: str
    base_url: str
    key_env: str
    base_url_env: str
    offers: tuple[Offer, ...]
    option_block: str
    options_schema: JsonObject
    aliases: tuple[str, ...] = ()
    stage: Stage = Stage.ACTIVE
    auth: HeaderAuth = HeaderAuth()
    webhook_secret_env: str | None = None
    settings_schema: JsonObject = attrs.field(factory=dict)
    raw_models: bool = False
    priority: int = 100
    blocking: bool = False
    callbacks: bool = False
    poll: PollSchedule = PollSchedule()
    timeouts: Timeouts = Timeouts()
    typical_s: float = 60.0
    deadline_s: float = 1200.0
    retention_s: float | None = None
    max_answer_bytes: int = 4 * 1024 * 1024
    max_parallel_creates: int | None = None
    create_window: RateWindow | None = None
    docs_url: str = ""
    statuses: Mapping[str, JobState] = attrs.field(factory=dict)
    model_option: str | None = None
    model_setting: str | None = None
    raw_offers: tuple[Offer, ...] = ()
    callback_signature: CallbackSignature | None = None
    key_optional: bool = False
    media_needs_key: bool = False
    rights: Rights = attrs.field(factory=Rights)
    _states: Mapping[str, JobState] = attrs.field(
        init=False,
        repr=False,
        eq=False,
        default=attrs.Factory(
            lambda self: {word.strip().casefold(): state for word, state in self.statuses.items()},
            takes_self=True,
        ),
    )

    def offer_like(self, native_model: str) -> Offer | None:
        """The offer whose abilities and fields a native model has: a listed one, else one for raw names."""
        wanted = native_model.lower()
        for offer in self.offers:
            if offer.native_model is not None and offer.native_model.lower() == wanted:
                return offer
        raw = [offer for offer in self.raw_offers if wanted.startswith((offer.native_model or "").lower())]
        return max(raw, key=lambda offer: len(offer.native_model or ""), default=None)

    def state_of(self, native_status: str) -> JobState | None:
        """The state that ``statuses`` gives a native status; None for an unknown one."""
        return self._states.get(native_status.strip().casefold())

    def status_fault(self) -> str | None:
        """How ``statuses`` contradicts itself, or None."""
        for word, state in self.statuses.items():
            given: object = state
            if not isinstance(given, JobState):
                return f"statuses[{word!r}] is {state!r}, which is no state"
            if self.state_of(word) is not state:
                return f"statuses[{word!r}] is {state.value!r}, and the same word means another state"
        return None
