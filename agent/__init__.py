"""The programs on each host: a network process without rights and an executor that does what was signed.

The room promises what actions.md promises: a host does only what was signed, only what its own owner
allows, at most once, and never silently.
"""

__all__ = ["VERSION"]

VERSION = "0.1.0"
"""Version of the agent, as it stands in receipts and polls."""
