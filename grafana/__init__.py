"""Dashboards as provisioned in Grafana (``dashboards/*.json``) and the Python that generates them.

The JSON travels in the wheel and is what a user installs; the modules beside it need
``grafana-foundation-sdk`` and run only in development. ``python -m grafana.generate --check`` proves that
both say the same.
"""
