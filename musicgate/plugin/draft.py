"""A native request in the making: its fields, where the caller said each, and the warnings.

It knows a vendor block and the neutral fields, and no vendor. **The vendor block beats the neutral field**:
that rule, and where the winner was said, is here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlencode

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
    utf16_units,
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
#: Neutral fields that an instrumental has no use for.
_OF_A_VOICE: Final = frozenset({"vocal_gender", "lyrics"})


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
        if type(value) is Said:  # `isinstance` takes longer, where it is none
            path = value.path if path is None else path
            native = value.value
        else:
            native = value
        if native is None:
            return
        self.fields[name] = native
        if path is not None:
            self._paths[name] = path_of(path)

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
        labels = {name: _WRITTEN[name] for name in field.carries if name in _WRITTEN}
        for behind in self.labelled(labels, field.name).values():
            whole = self.fields.get(field.name)
            self.send(field.name, f"{whole}{behind}" if whole else behind.lstrip(",. \n"))

    def labelled(
        self, labels: Mapping[str, str | Mapping[str, str]], into: str = "prompt", *, is_sung: bool = True
    ) -> dict[str, str]:
        """Neutral texts for which the vendor has no field, labelled to be written into another one.

        Each is reported as changed. How the pieces are put together is the plugin's to say.

        Args:
            labels: neutral field -> its text with ``{}`` for the value, or a text for each of its values.
            into: the native field, for the warnings.
            is_sung: False reports voice and lyrics as not applied, and leaves them out.

        Returns:
            The piece of each field that the caller gave, in the order of the labels.
        """
        pieces = {}
        for name, label in labels.items():
            value = neutral_value(self.request, name)
            if not isinstance(value, str):
                continue
            if name in _OF_A_VOICE and not is_sung:
                self.not_applied(name, "an instrumental has no voice")
                continue
            pieces[name] = label.format(value) if isinstance(label, str) else label[value]
            self.changed(name, f"sent as part of {into}")
        return pieces

    def with_lines(
        self, text: str, lines: Mapping[str, Said | None], most: int | None, *, why: str, between: str = "\n"
    ) -> str:
        """Write what has no field of its own behind a text: a line ``Label: value`` each, with a warning.

        Args:
            text: what stands before them; may be empty.
            lines: label -> what the caller said; None writes nothing.
            most: UTF-16 units of the whole; None = as many as there are. No line is cut.
            why: the beginning of the warnings: "Suno has no field for it".

        Raises:
            UnsupportedOptionError: an option of the vendor block that does not fit. A neutral field that does
                not is reported as not applied.
        """
        for label, given in lines.items():
            if given is None:
                continue
            longer = f"{text}{between if text else ''}{label}: {given.text}"
            if most is None or utf16_units(longer) <= most:
                text = longer
                self.changed(given.path, f"{why}: added to the text that describes the song")
            elif given.in_block:
                raise unsupported(given.path, f"{why}, and the text that describes the song has no room")
            else:
                self.not_applied(given.path, f"{why}, and the text that describes the song has no room")
        return text

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

    def post_json(
        self,
        url: str,
        wrapped: JsonObject | None = None,
        *,
        query: Collection[str] = (),
        accept: str = "application/json",
    ) -> Translation:
        """The translation: a POST of the fields as JSON.

        Args:
            url: without a query.
            wrapped: the body, if it is more than the fields.
            query: fields that the vendor takes in the query, not in the body.
            accept: media types of the answer.
        """
        body = self.fields if wrapped is None else wrapped
        given = [(name, self.fields[name]) for name in query if self.fields.get(name) is not None]
        if given:
            url += "?" + urlencode([(name, _in_query(value)) for name, value in given])
            body = {name: value for name, value in body.items() if name not in query}
        request = HttpRequest.post_json(url, body)
        if accept != request.headers["Accept"]:
            request = attrs.evolve(request, headers={**request.headers, "Accept": accept})
        return self.translation(request)

    def translation(self, request: HttpRequest) -> Translation:
        """The translation with a request that was made of the fields."""
        return Translation(
            request=request,
            native_model=self.native_model,
            warnings=tuple(self.warnings),
            fields=self.fields,
            paths=self._paths,
        )


def _in_query(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
