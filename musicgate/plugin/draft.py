"""A native request in the making: its fields, where the caller said each, and the warnings.

It knows a vendor block and the neutral fields, and no vendor. **The vendor block beats the neutral field**:
that rule, and where the winner was said, is here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from musicgate.errors import RequestError, UnsupportedOptionError
from musicgate.model import (
    Field,
    JsonObject,
    JsonValue,
    MusicRequest,
    Offer,
    OptionWarning,
    ProviderSettings,
    WarningCode,
    is_blank,
    value_of,
)
from musicgate.plugin.hooks import Translation
from musicgate.plugin.wire import HttpRequest

Path = tuple[str | int, ...]
#: How `Draft.send_declared` writes a neutral text behind the text that carries it.
_WRITTEN: Mapping[str, str] = {
    "style": ", {}",
    "negative_style": ". Avoid: {}",
    "title": ". Title: {}",
    "lyrics": "\n\nLyrics:\n{}",
}


def path_of(path: str | Path) -> Path:
    """A path in the request from its dotted name."""
    return tuple(path.split(".")) if isinstance(path, str) else path


def not_applied(path: str | Path, message: str) -> OptionWarning:
    """Warn that an option is not sent, since the vendor cannot express it."""
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=path_of(path), message=message)


def changed(path: str | Path, message: str) -> OptionWarning:
    """Warn that an option is sent otherwise; the message says how."""
    return OptionWarning(code=WarningCode.CHANGED, path=path_of(path), message=message)


def refused(path: str | Path, message: str, reason: str | None = "invalid") -> RequestError:
    """The error of an option that the vendor would refuse; ``reason`` is the contract's token."""
    where = path_of(path)
    dotted = ".".join(str(part) for part in where)
    return RequestError("validation_error", f"{dotted}: {message}", reason=reason, path=where)


def too_long(path: str | Path, length: int, max_length: int, reason: str | None = "invalid") -> RequestError:
    """The error of a text that is too long; no text is ever cut."""
    return refused(path, f"has {length} characters; at most {max_length} are allowed", reason)


def unsupported(path: str | Path, message: str) -> UnsupportedOptionError:
    """The error of an option that this vendor does not have."""
    return UnsupportedOptionError(path_of(path), message)


def neutral_value(request: MusicRequest, name: str) -> JsonValue:
    """A neutral field by its name on the wire; None for one that is not given, or blank."""
    value: JsonValue = getattr(request, "duration_s" if name == "duration" else name)
    return value if value is None or not isinstance(value, str) or value.strip() else None


@attrs.frozen
class Said:
    """A value that the caller gave, and where: in the vendor block or in a neutral field."""

    value: JsonValue
    path: Path

    @property
    def in_block(self) -> bool:
        """True for a value of the vendor block."""
        return len(self.path) > 1

    @property
    def text(self) -> str:
        """The value as text; empty for one that is no text."""
        return self.value if isinstance(self.value, str) else ""


def said(request: MusicRequest, block: str, option: str, neutral: str | None = None) -> Said | None:
    """What the caller gave for an option, in the block or else in the neutral field; None for blank.

    Args:
        request: the request.
        block: name of the vendor block.
        option: the option's name in it.
        neutral: the neutral field that means the same, by its name on the wire.
    """
    return _said(request, request.block(block), block, option, neutral)


def _said(
    request: MusicRequest, options: JsonObject, block: str, option: str, neutral: str | None
) -> Said | None:
    own = options.get(option)
    if own is not None and not (isinstance(own, str) and is_blank(own)):
        return Said(own, (block, option))
    value = None if neutral is None else neutral_value(request, neutral)
    return None if value is None or neutral is None else Said(value, (neutral,))


class Draft:
    """A native request in the making.

    Attributes:
        request: what the caller asks for.
        offer: the chosen offer.
        native_model: the vendor's name of the model; that of the offer, unless the plugin sets another one.
        settings: of the plugin.
        block: the options of the vendor block.
        fields: the native fields so far.
        warnings: so far.
    """

    def __init__(self, request: MusicRequest, offer: Offer, settings: ProviderSettings, block: str) -> None:
        self.request = request
        self.offer = offer
        self.native_model = offer.native_model or ""
        self.settings = settings
        self.name = block
        self.block: JsonObject = request.block(block)
        self.fields: dict[str, JsonValue] = {}
        self.warnings: list[OptionWarning] = []
        self._paths: dict[str, Path] = {}

    def said(self, option: str, neutral: str | None = None) -> Said | None:
        """See `said`."""
        if self.block:
            return _said(self.request, self.block, self.name, option, neutral)
        value = None if neutral is None else neutral_value(self.request, neutral)
        return None if value is None or neutral is None else Said(value, (neutral,))

    def send(self, name: str, value: JsonValue | Said, path: str | Path | None = None) -> None:
        """Put a native field; None puts nothing.

        Args:
            name: the vendor's name of the field.
            value: as the vendor takes it, or as the caller said it.
            path: which option an error about the field names; by default the vendor block's if it has one of
                that name, else the neutral field that the offer declares for it.
        """
        native, said_at = (value.value, value.path) if isinstance(value, Said) else (value, None)
        if native is None:
            return
        self.fields[name] = native
        if path is not None:
            self._paths[name] = path_of(path)
        elif said_at is not None:
            self._paths[name] = said_at

    def copy(self, *options: str) -> None:
        """Send options of the vendor block as they are, null included."""
        self.fields |= {name: self.block[name] for name in options if name in self.block}

    def send_declared(self) -> None:
        """Send what the caller gave for each declared field: the option, else the neutral field it carries.

        A neutral value is sent in the vendor's unit and spelling, a dotted field inside an object. Neutral
        texts that a field carries beside its own are written behind it, with a warning each.

        Raises:
            RequestError: a neutral value for which the field has no spelling.
        """
        for field in self.offer.fields:
            value, path = value_of(self.block, field.name), (self.name, *field.name.split("."))
            if field.neutral and (value is None or (isinstance(value, str) and is_blank(value))):
                given, path = neutral_value(self.request, field.neutral), (field.neutral,)
                value = None if given is None else field.native_of(given)
                if value is None and given is not None:
                    fault = field.fault(given)
                    raise refused(path, fault[2] if fault else "has no such value", field.reason)
            if value is None:
                continue
            inside, (*outer, last) = self.fields, field.name.split(".")
            for key in outer:
                holder = inside.get(key)
                # A copy: the object may be the caller's own.
                inside[key] = inside = dict(holder) if isinstance(holder, dict) else {}
            inside[last] = value
            self._paths[field.name] = path
        for field in self.offer.fields:
            self._write_carried(field)

    def _write_carried(self, field: Field) -> None:
        for neutral in field.carries:
            text, whole = neutral_value(self.request, neutral), self.fields.get(field.name)
            if isinstance(text, str) and neutral in _WRITTEN:
                behind = _WRITTEN[neutral].format(text)
                self.send(field.name, f"{whole}{behind}" if whole else behind.lstrip(",. \n"))
                self.changed(neutral, f"sent as part of {field.name}")

    def refuse_undeclared(self, *also: str) -> None:
        """Refuse options of the block for which the offer declares no field; a false one is only reported.

        Args:
            also: options that the translation knows although they are no fields of this offer.

        Raises:
            UnsupportedOptionError: the model has no such option.
        """
        known = {field.name.partition(".")[0] for field in self.offer.fields} | set(also)
        for name, value in self.block.items():
            if name not in known and value is not False:
                raise unsupported((self.name, name), f"{self.native_model} has no such option")
            if name not in known:
                self.not_applied((self.name, name), f"{self.native_model} has no such option")

    def not_applied(self, path: str | Path, message: str) -> None:
        """See `not_applied`."""
        self.warnings.append(not_applied(path, message))

    def changed(self, path: str | Path, message: str) -> None:
        """See `changed`."""
        self.warnings.append(changed(path, message))

    def post_json(self, url: str, wrapped: JsonObject | None = None) -> Translation:
        """The translation: a POST of the fields as JSON.

        Args:
            wrapped: the body, if it is more than the fields.
        """
        return self.translation(HttpRequest.post_json(url, self.fields if wrapped is None else wrapped))

    def translation(self, request: HttpRequest) -> Translation:
        """The translation with a request that was made of the fields."""
        return Translation(
            request=request,
            native_model=self.native_model,
            warnings=tuple(self.warnings),
            fields=self.fields,
            paths=self._paths,
        )
