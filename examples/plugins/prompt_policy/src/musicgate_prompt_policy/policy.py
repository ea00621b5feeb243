"""The plugin: rewrites a wish before any provider translates it, and stands around the translation to refuse it.

Two hooks, because two things are wanted. A pluggy wrapper cannot change what goes into the call that it wraps, so other words are
put in by ``revise_request``. And a refusal must judge what would really be sent: after every plugin, not only this one, has had
its say about the words. That is what the wrapper around ``translate_request`` sees.
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
    """A policy for all providers: ``load_plugins({"prompt_policy": PromptPolicy(rules)})``, or the entry point with its own rules."""

    #: Version of the hooks that it was written for. A literal: musicgate's own constant would always agree.
    HOOK_API: ClassVar[int] = 1

    rules: Rules

    @hookimpl
    def revise_request(self, request: MusicRequest, provider: Provider) -> Revision | None:
        """The wish in other words, with a warning for every text that was changed."""
        rewrites = [rule for rule in self.rules.rewrites if _holds_for(rule, provider)]
        warnings: list[OptionWarning] = []

        def rewrite(path: tuple[str | int, ...], text: str) -> str:
            for rule in rewrites:
                changed = rule.pattern.sub(rule.replacement, text)
                if changed != text:
                    said = f"put in other words by the rule {rule.name!r}"
                    warnings.append(OptionWarning(code=WarningCode.CHANGED, path=path, message=said))
                text = changed
            return text

        revised = edit_texts(request, provider.option_block, rewrite)
        return Revision(request=revised, warnings=tuple(warnings)) if warnings else None

    @hookimpl(wrapper=True)
    def translate_request(
        self, request: MusicRequest, provider: Provider
    ) -> Generator[None, Translation, Translation]:
        """Refuse before the provider is even asked to translate.

        Raises:
            RequestError: ``guardrail_blocked`` (HTTP 403), with the rule's name as its reason.
        """
        refusals = [rule for rule in self.rules.refusals if _holds_for(rule, provider)]

        def refuse(path: tuple[str | int, ...], text: str) -> str:
            for rule in refusals:
                if rule.pattern.search(text):
                    raise RequestError("guardrail_blocked", rule.message, reason=rule.name, path=path)
            return text

        edit_texts(request, provider.option_block, refuse)
        return (yield)


def _holds_for(rule: Refusal | Rewrite, provider: Provider) -> bool:
    return not rule.providers or not rule.providers.isdisjoint({provider.name, provider.plugin})
