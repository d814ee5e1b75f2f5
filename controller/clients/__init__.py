"""Clients of the systems that policies are reconciled against; only `controller.app` builds them.

Each extends a public library at its own transport and turns every error of it into the `ControllerError`
family.
"""
