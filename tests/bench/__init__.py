"""What the replicator costs beside PostgreSQL's own tools, on one machine, in one run, interleaved."""
