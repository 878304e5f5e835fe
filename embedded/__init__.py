"""A real PostgreSQL and a real Kafka without Docker, RAWDOG's source, and the demo."""
