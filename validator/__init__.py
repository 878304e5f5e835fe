"""Proves that the target holds what the source showed, or names what differs."""
