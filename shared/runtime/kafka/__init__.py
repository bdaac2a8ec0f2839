"""Kafka as this platform uses it: clients, records, the consumer."""
