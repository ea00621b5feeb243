"""Generate docs/hooks.md from the hook specifications and the classes that they name."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from types import MappingProxyType
from typing import Any

import attrs

from docs.markdown import GENERATED, mark, table, ticks
from musicgate import plugin
from musicgate.model import RULES
from musicgate.plugin import hooks as hookspecs

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):$")
_ITEM = re.compile(r"^    (\w+): (.*)$")
#: The line length of the formatter.
_WIDTH = 110


def hooks_page() -> str:
    """Render every hook, every class that goes in or out, and what each class of failure means."""
    hooks = [hook for hook in vars(hookspecs).values() if hasattr(hook, f"{hookspecs.PROJECT}_spec")]
    parts = [GENERATED, "# Hooks", prose_of(hookspecs, {}).split("\n", 2)[2]]
    parts += ["[How to add a provider](add-a-provider.md) uses these step by step.", "## The hooks"]
    parts += [_hook(hook) for hook in hooks]
    values = list(_values(hooks))
    parts += ["## The values", "Frozen: `attrs.evolve(value, field=...)` makes a changed copy."]
    parts += [value_section(value) for value in values]
    parts += ["## What a class of failure allows", _failures()]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _hook(hook: Callable[..., object]) -> str:
    options = getattr(hook, f"{hookspecs.PROJECT}_spec")
    answers = (
        "The plugin's own answer counts." if options["firstresult"] else "Every plugin that has it is called."
    )
    code = f"```python\n@hookimpl\n{_head(hook)}\n```"
    return "\n\n".join([f"### {hook.__name__}", code, answers, prose_of(hook, {})])


def _head(hook: Callable[..., object]) -> str:
    """Render the hook's signature, wrapped as the formatter wraps it."""
    signature = inspect.signature(hook)
    arguments = [f"{name}: {argument.annotation}" for name, argument in signature.parameters.items()]
    head, tail = f"def {hook.__name__}(", f") -> {signature.return_annotation}: ..."
    line = ", ".join(arguments)
    if len(head + line + tail) <= _WIDTH:
        return head + line + tail
    if len(line) + 4 <= _WIDTH:
        return f"{head}\n    {line}\n{tail}"
    return "\n".join([head, *(f"    {argument}," for argument in arguments), tail])


def _values(hooks: Iterable[Callable[..., object]]) -> Iterator[type]:
    """Yield the classes that the hooks' signatures name, and those in their fields, each once."""
    waiting = [str(part) for hook in hooks for part in inspect.get_annotations(hook).values()]
    seen: set[str] = set()
    while waiting:
        for name in re.findall(r"\w+", waiting.pop(0)):
            found = getattr(plugin, name, None)
            if name in seen or not isinstance(found, type) or not found.__module__.startswith("musicgate"):
                continue
            seen.add(name)
            yield found
            waiting += [str(part) for part in inspect.get_annotations(found).values()]


def value_section(value: type) -> str:
    """Render a class: what it is, its fields and its methods."""
    return _enum(value) if issubclass(value, Enum) else _value(value)


def _value(value: type) -> str:
    described: dict[str, str] = _comments(value)
    text = prose_of(value, described)
    lines = [f"### {value.__name__}", text]
    fields = attrs.fields(value) if attrs.has(value) else ()
    # As they are written: cattrs replaces the strings in attrs fields by types once it has seen a class.
    annotations = {
        name: note for kind in value.__mro__ for name, note in inspect.get_annotations(kind).items()
    }
    # What a class only computes, or has from its base, is said elsewhere.
    shown = [
        field for field in fields if field.init and not (field.inherited and field.name not in described)
    ]
    inherited = next((base.__name__ for base in value.__mro__[1:] if attrs.has(base)), None)
    if inherited and len(shown) < len(fields):
        lines.append(f"Its fields are those of `{inherited}`{' and:' if shown else '.'}")
    if shown:
        rows = [
            (
                f"`{field.name}`",
                f"`{annotations[field.name]}`",
                _default(field),
                described.get(field.name, ""),
            )
            for field in shown
        ]
        lines.append(table(("field", "type", "default", "meaning"), rows))
    methods = [
        f"- `{name}{'' if isinstance(member, property) else _arguments(member)}`: {_summary(member)}"
        for name, member in vars(value).items()
        if not name.startswith("_")
        and isinstance(member, (property, classmethod)) | inspect.isfunction(member)
    ]
    return "\n\n".join([*lines, *(["\n".join(methods)] if methods else [])])


def _enum(kind: type[Enum]) -> str:
    described = _comments(kind)
    rows = [(f"`{member.name}`", f"`{member.value}`", described.get(member.name, "")) for member in kind]
    return "\n\n".join([f"### {kind.__name__}", _summary(kind), table(("name", "value", "meaning"), rows)])


def _failures() -> str:
    rows = [
        (
            f"`{reason.value}`",
            str(rule.http_status),
            mark(rule.resend),
            mark(rule.try_next),
            rule.cost.value,
            rule.attribution.value,
        )
        for reason, rule in RULES.items()
    ]
    head = ("class", "HTTP status", "same vendor again", "next provider", "may have cost", "whose error")
    return table(head, rows)


def _comments(value: type) -> dict[str, str]:
    """Return the ``#:`` comment above each name in a class body."""
    lines = textwrap.dedent(inspect.getsource(value)).splitlines()
    body = ast.parse("\n".join(lines)).body[0]
    found: dict[str, str] = {}
    for statement in getattr(body, "body", ()):
        above: list[str] = []
        row = statement.lineno - 2
        while row >= 0 and lines[row].strip().startswith("#:"):
            above.insert(0, lines[row].strip().removeprefix("#:").strip())
            row -= 1
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]) if above:
                found[name] = ticks(" ".join(above))
    return found


def prose_of(thing: object, attributes: dict[str, str]) -> str:
    """Render a Google docstring as Markdown; its ``Attributes`` go into the dictionary instead."""
    out: list[str] = []
    section = last = ""
    for line in (inspect.getdoc(thing) or "").splitlines():
        title, item = _SECTION.match(line), _ITEM.match(line)
        if title:
            section = title[1]
            out += [] if section == "Attributes" else [f"**{section}**", ""]
        elif section == "Attributes" and item:
            last = item[1]
            attributes[last] = ticks(item[2])
        elif section == "Attributes" and line.startswith("     "):
            attributes[last] += f" {ticks(line.strip())}"
        elif section and item:
            out.append(f"- `{item[1]}`: {ticks(item[2])}")
        else:
            section = section if line.startswith("    ") or not line else ""
            out.append(ticks(line))
    return "\n".join(out).strip()


def _summary(thing: object) -> str:
    return ticks((inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " "))


def _arguments(member: object) -> str:
    function = member.__func__ if isinstance(member, classmethod) else member
    names = [name for name in inspect.signature(function).parameters if name not in {"self", "cls"}]  # type: ignore[arg-type]  # a function
    return f"({', '.join(names)})"


def _default(field: attrs.Attribute[Any]) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        return "empty"
    if field.default in ((), frozenset(), MappingProxyType({})):
        return "empty"
    text = str(field.default) if isinstance(field.default, Enum) else repr(field.default)
    return f"`{text}`"
