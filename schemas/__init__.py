"""What the programs say to each other: pure modules, no I/O, clock, randomness or environment."""
