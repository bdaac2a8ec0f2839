"""PostgreSQL: the server's settings, roles, databases and migrations."""
