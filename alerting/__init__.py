"""Prometheus rules and the Alertmanager configuration, with their tests, as they travel in the wheel.

``rules/*.yaml`` and ``alertmanager.yaml`` are what a user installs; ``tests/`` holds promtool's unit tests
and the routing table; ``python -m alerting.check`` runs all of them with the real promtool and amtool.
"""
