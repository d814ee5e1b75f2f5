"""One module per kind of action: precondition, argv and effect; what a kind may touch is decided here."""
