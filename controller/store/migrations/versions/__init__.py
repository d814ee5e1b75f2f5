"""One module a step; the file name begins with the version."""
