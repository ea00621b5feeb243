"""A vendor's block that overrides a neutral field does not do so in silence.

It may be said once for all, where the caller looks: by the option's name (``vocalGender``), or, for a
value of the field's own type, by its description ("overrides the request's negative_style"): such an
option is the vendor's spelling of the field. One that decides over a field by the way (``voices`` over
``instrumental``) is reported in a warning of each such request.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from musicgate.codec import SchemaValidator
from musicgate.errors import RequestError
from musicgate.testing.compliance.handling import names, with_field
from musicgate.testing.compliance.probes import option_values
from musicgate.testing.compliance.subject import LYRICS, PROMPT, STYLE, TITLE, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.model import MusicRequest, Offer
    from musicgate.testing.compliance.subject import Subject

#: Neutral fields -> their name in JSON, and two values: an option may agree with one of them, not with both.
_FIELDS: Final[Mapping[str, tuple[str, tuple[object, object]]]] = {
    "prompt": ("prompt", (PROMPT, "Slow waltz of a kit")),
    "duration_s": ("duration", (31, 47)),
    "lyrics": ("lyrics", (LYRICS, "[Verse]\nOther words of a kit")),
    "style": ("style", (STYLE, "polka of a kit")),
    "title": ("title", (TITLE, "Kit")),
    "negative_style": ("negative_style", ("heavy metal", "polka")),
    "instrumental": ("instrumental", (True, False)),
    "vocal_gender": ("vocal_gender", ("f", "m")),
    "seed": ("seed", (7, 8)),
    "format": ("format", ("mp3", "wav")),
}
#: Values of one option that are tried.
_VALUES: Final = 3
#: How the description of an option says that it overrides what follows.
_OVERRIDES: Final = r"(?:overrid|wins over|beats|replaces|instead of|in place of)"


class _Effect(Enum):
    """What a neutral field does."""

    SENT = auto()
    #: A warning names it, or the request is refused.
    REPORTED = auto()
    #: The native request is the same for any value.
    NONE = auto()


def check_overridden_fields_are_reported(subject: Subject) -> None:
    """An option that overrides a neutral field is called like it, says so, or is reported in a warning."""
    if not subject.block_properties:
        raise Skipped("the option schema declares no options")
    for offer, request in _bases(subject):
        sent = [field for field in _FIELDS if _effect(subject, offer, request, field) is _Effect.SENT]
        for name, value, with_block in _options(subject, request):
            for field in sent:
                public = _FIELDS[field][0]
                said = _is_said(subject, name, value, field)
                assert said or _effect(subject, offer, with_block, field) is not _Effect.NONE, (
                    f"translate_request for {offer.model}: {subject.provider.option_block}.{name} = {value!r:.80} "
                    f"overrides the neutral field {public} in silence: expected a warning (not_applied) with the "
                    f'path ({public!r},), a refusal, or a description of the option like "overrides {public}"'
                )


def _bases(subject: Subject) -> Iterator[tuple[Offer, MusicRequest]]:
    """Yield two base requests without a block of each offer: a plain prompt, and one with lyrics."""
    for offer in subject.provider.offers:
        own = [request for other, request, _ in subject.base if other is offer and not request.blocks]
        yield from ((offer, request) for request in own[:2])


def _options(subject: Subject, request: MusicRequest) -> Iterator[tuple[str, object, MusicRequest]]:
    validator = SchemaValidator(dict(subject.provider.options_schema))
    for name, schema in subject.block_properties.items():
        for value in option_values(schema, [])[:_VALUES]:
            if not validator.violations({name: value}):
                yield name, value, subject.with_option(request, name, value)


def _effect(subject: Subject, offer: Offer, request: MusicRequest, field: str) -> _Effect:
    """Compare the native requests for two values of a neutral field."""
    public, values = _FIELDS[field]
    sent = []
    for value in values:
        try:
            translation = subject.translate(with_field(request, field, value), offer)
        except RequestError:
            return _Effect.REPORTED
        if any(names(warning.path, (public,)) for warning in translation.warnings):
            return _Effect.REPORTED
        sent.append(translation.request)
    return _Effect.NONE if sent[0] == sent[1] else _Effect.SENT


def _is_said(subject: Subject, option: str, value: object, field: str) -> bool:
    """True if an option is called like the field, or has its type and says that it overrides the field."""
    public, values = _FIELDS[field]
    if _folded(public) in _folded(option) or _folded(field) in _folded(option):
        return True
    if type(value) is not type(values[0]):
        return False
    schema = subject.block_properties[option]
    described = str(schema.get("description", "")) if isinstance(schema, dict) else ""
    return re.search(rf"{_OVERRIDES}[^.;]*\b{public}\b", described, re.IGNORECASE) is not None


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
