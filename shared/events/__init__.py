"""What is said between the services: one module per writer, the envelope, the catalogue of all event classes."""
