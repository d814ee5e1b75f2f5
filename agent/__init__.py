"""The programs on each host: a network process without rights and an executor that does what was signed.

The room promises what actions.md promises: a host does only what was signed, only what its own owner
allows, at most once, and never silently.
"""

__all__ = ["DEFAULT_CONFIG", "VERSION"]

DEFAULT_CONFIG = "/etc/steward/agent.yaml"
"""Where the packages put the configuration; `--config` or STEWARD_AGENT_CONFIG names another."""

VERSION = "0.1.0"
"""Version of the agent, as it stands in receipts and polls."""
