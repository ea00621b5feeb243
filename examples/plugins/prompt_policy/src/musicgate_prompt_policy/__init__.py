"""The plugin with the rules of this distribution; start with `rules`, then `policy`."""

from importlib.resources import files

from musicgate_prompt_policy.policy import PromptPolicy
from musicgate_prompt_policy.rules import (
    Refusal,
    Rewrite,
    Rules,
    read_rules,
)

__all__ = ["PromptPolicy", "Refusal", "Rewrite", "Rules", "plugin", "read_rules"]

#: What the entry point names.
plugin = PromptPolicy(read_rules((files(__name__) / "rules.json").read_text("utf-8"), source="rules.json"))
