"""The controller over HTTP.

Agents, Prometheus, health, the status page, and operators on the same machine.
"""
