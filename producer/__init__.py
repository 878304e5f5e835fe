"""Reads one consistent snapshot of the source and publishes it to the log."""
