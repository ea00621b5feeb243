"""A number, or a list, over what the vendor takes is refused or reported, never shortened in silence.

How a value is spelled natively is not known here (seconds, milliseconds, a text). So two different values are
compared: they must give two different native requests, unless a warning or a refusal names the option.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from musicgate.codec import SchemaValidator
from musicgate.errors import RequestError
from musicgate.testing.compliance.handling import names, neutral_base, with_field
from musicgate.testing.compliance.probes import option_values
from musicgate.testing.compliance.subject import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from musicgate.model import MusicRequest, Offer
    from musicgate.plugin import HttpRequest
    from musicgate.testing.compliance.subject import Subject

#: Where no range is stated, these are tried: a limit that is not declared lies between some two of them.
_LADDER: Final = (1, 2, 10, 11, 60, 61, 100, 101, 240, 241, 600, 601, 3_600, 3_601, 100_000, 100_001)
_LIST_LENGTHS: Final = (1, 2, 5, 6, 20, 21, 100, 101)


def check_lengths_are_sent_as_asked(subject: Subject) -> None:
    """Two different `duration`s, also beyond the offer's longest, are not made one in silence."""
    tried = False
    for offer, request, _ in neutral_base(subject):
        longest_s = offer.limits.max_duration_s
        values = sorted({*_LADDER, *(() if longest_s is None else (int(longest_s), int(longest_s) + 1))})
        requests = [(value, with_field(request, "duration_s", value)) for value in values]
        tried = True
        _assert_distinct(subject, offer, request, requests, ("duration",))
    if not tried:
        raise Skipped("no base request is without a vendor's block")


def check_options_are_sent_as_asked(subject: Subject) -> None:
    """Two values of an option that its schema allows, up to its limits, are not made one in silence."""
    validator = SchemaValidator(dict(subject.provider.options_schema))
    block_name = subject.provider.option_block
    tried = False
    for path, values in _options(subject):
        for offer, request, _ in subject.base:
            block = request.block(block_name)
            allowed = [
                (value, subject.with_option(request, path[0], changed))
                for value in values
                for changed in [_at_path(block.get(path[0]), path[1:], value)]
                if not validator.violations({**block, path[0]: changed})
            ]
            tried = tried or len(allowed) > 1
            _assert_distinct(subject, offer, request, allowed, (block_name, *path))
    if not tried:
        raise Skipped("no declared option is a number or a list")


def _assert_distinct(
    subject: Subject,
    offer: Offer,
    base: MusicRequest,
    requests: Sequence[tuple[object, MusicRequest]],
    path: tuple[str, ...],
) -> None:
    """Assert that neighbouring values are sent differently, where the option is sent at all."""
    unset = _sent(subject, offer, base, path)
    sent = [(value, _sent(subject, offer, request, path)) for value, request in requests]
    if not any(request is not None and request != unset for _, request in sent):
        return  # nothing of it is ever sent: other checks say whether that is reported
    for (left, before), (right, after) in pairwise((value, one) for value, one in sent if one is not None):
        assert before != after, (
            f"translate_request for {offer.model} sends the same for {'.'.join(path)} = {_short(left)} and "
            f"{_short(right)}, and no warning names it: expected the value as it was asked for, a warning "
            "(changed), or a refusal"
        )


def _sent(subject: Subject, offer: Offer, request: MusicRequest, path: tuple[str, ...]) -> HttpRequest | None:
    """Return the native request; None where the option was refused or reported."""
    try:
        translation = subject.translate(request, offer)
    except RequestError:
        return None
    reported = any(names(warning.path, path) for warning in translation.warnings)
    return None if reported else translation.request


def _options(subject: Subject) -> Iterator[tuple[tuple[str, ...], Sequence[object]]]:
    """Yield the path of each number and list among the options, and the values to try, in order."""
    for name, schema in subject.block_properties.items():
        if not isinstance(schema, dict):
            continue
        yield from _one_option((name,), schema)
        inner = schema.get("properties")
        for key, nested in (inner if isinstance(inner, dict) else {}).items():
            if isinstance(nested, dict):
                yield from _one_option((name, key), nested)


def _one_option(
    path: tuple[str, ...], schema: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], Sequence[object]]]:
    kinds = schema.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if "enum" in schema or "const" in schema:
        return
    if {"integer", "number"} & kinds:
        yield path, _numbers(schema)
    elif "array" in kinds:
        lengths = sorted(
            {*_LIST_LENGTHS, *(schema[key] for key in ("minItems", "maxItems") if key in schema)}
        )
        items = _items(schema.get("items", {}), lengths[-1])
        yield path, [items[:length] for length in lengths if length <= len(items)]


def _items(schema: object, count: int) -> list[object]:
    """Return different items of a list: ``count`` free texts, else as many as the schema names."""
    items = option_values(schema, []) or ["kit"]
    is_free_text = isinstance(items[0], str) and not (isinstance(schema, dict) and "enum" in schema)
    return [f"{items[0]}{index}" for index in range(count)] if is_free_text else items


def _numbers(schema: Mapping[str, Any]) -> list[object]:
    """Return numbers inside the stated range, its ends and their neighbours; else a ladder."""
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf", 1 if schema.get("type") == "integer" else None)
    if low is None or high is None:
        ends = {end for end in (low, high) if end is not None}
        return sorted({*_LADDER, *ends})
    if step is None:
        step = (high - low) / 8
    return sorted({low, low + step, high - step, high})


def _at_path(value: object, path: tuple[str, ...], new: object) -> object:
    if not path:
        return new
    return {**(value if isinstance(value, dict) else {}), path[0]: new}


def _short(value: object) -> str:
    return f"{len(value)} items" if isinstance(value, list) else repr(value)
