"""Planner (reads only) and Applier (writes a plan): one pass of level-based reconciliation."""
