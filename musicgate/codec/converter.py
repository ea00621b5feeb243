"""The cattrs converter between JSON and values: strict, so that no JSON type passes for another.

cattrs coerces by default: ``"false"`` becomes True, 1.9 becomes 1, text becomes a tuple of letters. Here
every scalar has a reader that accepts its own JSON type only. It knows types, and neither requests nor stored
documents.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from cattrs import BaseValidationError, Converter, transform_error

from musicgate.model import JsonObject


class WrongTypeError(ValueError):
    """A JSON value has another type than the field; the message names both types, never the value."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__(f"expected {expected}, got {type(value).__name__}")


def first_reason(exc: BaseValidationError) -> str:
    """Describe the first error, with its JSON path and without the value, which may be private."""
    return transform_error(exc, format_exception=_reason)[0]


def _reason(exc: BaseException, _expected: type | None) -> str:
    if isinstance(exc, KeyError):
        return "a field is missing"
    return str(exc) if isinstance(exc, WrongTypeError) else "it has another shape"


def read_object(value: object, _kind: Any) -> JsonObject:
    """Return a JSON object as it is.

    Raises:
        WrongTypeError: it is not an object.
    """
    if not isinstance(value, Mapping):
        raise WrongTypeError("an object", value)
    return value


def _read_text(value: object, _kind: Any) -> str:
    if not isinstance(value, str):
        raise WrongTypeError("text", value)
    return value


def _read_enum(value: object, kind: type[StrEnum]) -> StrEnum:
    try:
        return kind(_read_text(value, str))
    except ValueError as exc:
        raise WrongTypeError(f"a member of {kind.__name__}", value) from exc


def _read_bool(value: object, _kind: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongTypeError("a boolean", value)
    return value


def _read_int(value: object, _kind: Any) -> int:
    # A number with a zero fraction is an integer to JSON Schema (2020-12, section 6.1.1), and to the
    # contract.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongTypeError("a whole number", value)
    return value


def _read_float(value: object, _kind: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongTypeError("a number", value)
    return float(value)


def _read_decimal(value: object, _kind: Any) -> Decimal:
    try:
        return Decimal(_read_text(value, str))
    except InvalidOperation as exc:
        raise WrongTypeError("a decimal number as text", value) from exc


def _read_time(value: object, _kind: Any) -> datetime:
    moment = datetime.fromisoformat(_read_text(value, str))
    if moment.tzinfo is None:
        raise WrongTypeError("a time with its zone", value)
    return moment.astimezone(UTC)


def _read_path_part(value: object, _kind: Any) -> str | int:
    return value if isinstance(value, str) else _read_int(value, int)


def _write_time(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time without its zone cannot be stored")
    return moment.astimezone(UTC).isoformat()


def _unchanged(value: Any) -> Any:
    return value


def _tuple_reader(kind: Any, converter: Converter) -> Callable[[object, Any], Any]:
    """Make a reader of lists that does not accept text, which is a sequence to Python."""
    item_kind = kind.__args__[0]
    read_item = converter.get_structure_hook(item_kind)

    def read(value: object, _kind: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise WrongTypeError("a list", value)
        return tuple(read_item(item, item_kind) for item in value)

    return read


def _is_json_object(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is Mapping and kind.__args__ == (str, object)


def _is_tuple(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is tuple and kind.__args__[1:] == (...,)


def _make_converter() -> Converter:
    converter = Converter(omit_if_default=True)
    readers: tuple[tuple[Any, Callable[[object, Any], Any]], ...] = (
        (str, _read_text),
        # A reader holds for subclasses, too: without this one every StrEnum would be read as bare text.
        (StrEnum, _read_enum),
        (bool, _read_bool),
        (int, _read_int),
        (float, _read_float),
        (Decimal, _read_decimal),
        (datetime, _read_time),
    )
    for kind, read in readers:
        converter.register_structure_hook(kind, read)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    converter.register_structure_hook_func(lambda kind: kind == str | int, _read_path_part)
    converter.register_structure_hook_func(_is_json_object, read_object)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    converter.register_unstructure_hook(datetime, _write_time)
    converter.register_unstructure_hook(Decimal, str)
    converter.register_unstructure_hook_func(lambda kind: kind is object or _is_json_object(kind), _unchanged)
    return converter


#: Leaves out fields that have their default value when it writes.
CONVERTER: Final = _make_converter()
