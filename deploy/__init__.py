"""How the platform is put on its feet: Kafka, PostgreSQL, secrets, simulators. No service imports from here."""
