"""Plans as data: changes, their order, their digest, and the brakes. Pure."""
