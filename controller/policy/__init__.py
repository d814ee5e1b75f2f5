"""The policy language: YAML in Git → one typed, checked policy with a position on every value.

`load` reads a folder, `parse` the same from bytes (Git objects); both raise `PolicyErrors` with every
mistake at once. Apart from `folder` the room does no IO, reads no clock and knows nothing of the systems
that are managed.
"""

from controller.policy.folder import load
from controller.policy.model import Policy
from controller.policy.notes import NotApplied, Overridden
from controller.policy.parse import parse
from controller.policy.position import SourcePosition
from controller.policy.problems import PolicyErrors, Problem

__all__ = ["NotApplied", "Overridden", "Policy", "PolicyErrors", "Problem", "SourcePosition", "load", "parse"]
