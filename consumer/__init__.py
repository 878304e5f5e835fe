"""Applies the log to the tenant's schema in the target, each record exactly once."""
