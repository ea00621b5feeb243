"""Find a caller's texts in a request, and edit them; no rule is known here.

Texts are in the neutral fields and in the option block that is sent, at any depth: a vendor's plan of
sections is nested. Other blocks are not sent to this vendor, and labels (``metadata``) to none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from musicgate.plugin import JsonValue, MusicRequest

    TextPath = tuple[str | int, ...]
    #: Path and text -> the new text.
    Edit = Callable[[TextPath, str], str]

_URL_PREFIXES = ("http://", "https://")


def edit_texts(request: MusicRequest, block: str, edit: Edit) -> MusicRequest:
    """Return the request with every text edited.

    Args:
        request: it is not changed.
        block: name of the option block that is sent.
        edit: is called for every text except URLs (of a callback, of a song to cover).
    """
    options = request.blocks.get(block)
    blocks = {} if options is None else {block: _edited_items(options, (block,), edit)}
    return attrs.evolve(
        request,
        prompt=_edited_text(request.prompt, ("prompt",), edit),
        lyrics=_edited_text(request.lyrics, ("lyrics",), edit),
        style=_edited_text(request.style, ("style",), edit),
        title=_edited_text(request.title, ("title",), edit),
        negative_style=_edited_text(request.negative_style, ("negative_style",), edit),
        blocks={**request.blocks, **blocks},
    )


def _edited_text(text: str | None, path: TextPath, edit: Edit) -> str | None:
    if text is None or text.lower().startswith(_URL_PREFIXES):
        return text
    return edit(path, text)


def _edited_items(items: Mapping[str, JsonValue], path: TextPath, edit: Edit) -> dict[str, JsonValue]:
    return {key: _edited(value, (*path, key), edit) for key, value in items.items()}


def _edited(value: JsonValue, path: TextPath, edit: Edit) -> JsonValue:
    if isinstance(value, str):
        return _edited_text(value, path, edit)
    if isinstance(value, list):
        return [_edited(item, (*path, index), edit) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return _edited_items(value, path, edit)
    return value
