"""The event store in PostgreSQL, and nothing but it: every SQL statement of the running services."""
