"""Input and output that the programs share: PostgreSQL, Kafka, keys, settings, progress, reporting."""
