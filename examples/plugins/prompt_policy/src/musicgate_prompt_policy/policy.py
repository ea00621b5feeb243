"""The plugin: it rewrites requests before any provider translates them, and refuses translations.

It needs two hooks. A pluggy wrapper cannot change the arguments of the call that it wraps, so texts are
rewritten by ``revise_request``. And a refusal must judge what would really be sent, after the
``revise_request`` of every plugin: that is what the wrapper around ``translate_request`` sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from musicgate.plugin import OptionWarning, RequestError, Revision, WarningCode, hookimpl
from musicgate_prompt_policy.rules import Rules
from musicgate_prompt_policy.texts import edit_texts

if TYPE_CHECKING:
    from collections.abc import Generator

    from musicgate.plugin import MusicRequest, Provider, Translation
    from musicgate_prompt_policy.rules import Refusal, Rewrite


@attrs.frozen(eq=False)
class PromptPolicy:
    """A policy for all providers.

    Embed it with ``load_plugins({"prompt_policy": PromptPolicy(rules)})``; the entry point has the shipped
    rules.
    """

    #: Version of the hooks that it was built for. A literal: musicgate's own constant would always agree.
    HOOK_API: ClassVar[int] = 1

    rules: Rules

    @hookimpl
    def revise_request(self, request: MusicRequest, provider: Provider) -> Revision | None:
        """Rewrite the request, with a warning for every text that was changed."""
        rewrites = [rule for rule in self.rules.rewrites if _applies_to(rule, provider)]
        warnings: list[OptionWarning] = []

        def rewrite(path: tuple[str | int, ...], text: str) -> str:
            for rule in rewrites:
                changed = rule.pattern.sub(rule.replacement, text)
                if changed != text:
                    message = f"rewritten by the rule {rule.name!r}"
                    warnings.append(OptionWarning(code=WarningCode.CHANGED, path=path, message=message))
                text = changed
            return text

        revised = edit_texts(request, provider.option_block, rewrite)
        return Revision(request=revised, warnings=tuple(warnings)) if warnings else None

    @hookimpl(wrapper=True)
    def translate_request(
        self, request: MusicRequest, provider: Provider
    ) -> Generator[None, Translation, Translation]:
        """Refuse the request before the provider translates it.

        Raises:
            RequestError: ``guardrail_blocked`` (HTTP 403), with the rule's name as its reason.
        """
        refusals = [rule for rule in self.rules.refusals if _applies_to(rule, provider)]

        def refuse(path: tuple[str | int, ...], text: str) -> str:
            for rule in refusals:
                if rule.pattern.search(text):
                    raise RequestError("guardrail_blocked", rule.message, reason=rule.name, path=path)
            return text

        edit_texts(request, provider.option_block, refuse)
        return (yield)


def _applies_to(rule: Refusal | Rewrite, provider: Provider) -> bool:
    return not rule.providers or not rule.providers.isdisjoint({provider.name, provider.plugin})
