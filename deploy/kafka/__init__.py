"""Kafka: the broker's jars and settings, and the topics."""
