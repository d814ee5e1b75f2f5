"""One module per policy resource: desired, observed, their difference, and how one change is written."""
