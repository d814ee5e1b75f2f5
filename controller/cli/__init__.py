"""The `steward` command: one module per group of verbs; adapters without decisions."""
