"""Real schemas, made by other people's packages, moved with `tables = "*"` and compared."""
