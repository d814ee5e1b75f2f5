"""The example policy repository, as data: tutorial and test input at once. It travels in the wheel."""
