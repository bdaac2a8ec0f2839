"""Durable work on the outside world, and alarms."""
