"""Serving a registry over HTTP: connections, pages, formats, TLS and users as exporter-toolkit has them."""
