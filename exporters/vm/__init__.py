"""Guests, nodes and storages of a Proxmox VE cluster, under prometheus-pve-exporter's names (`pve_*`)."""
