"""One plan model and one form of output for the three API planes: Stalwart's settings, the tailnet policy, DNS."""

from tailwart.plan.document import to_json
from tailwart.plan.markdown import to_markdown
from tailwart.plan.model import Action, Change, FieldChange, Plan
from tailwart.plan.terminal import render

__all__ = ["Action", "Change", "FieldChange", "Plan", "render", "to_json", "to_markdown"]
