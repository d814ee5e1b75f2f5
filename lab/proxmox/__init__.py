"""A simulated Proxmox VE 9 cluster that answers as recordings of the real API code do."""
