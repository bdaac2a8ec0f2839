"""Load, decide, commit: the one transaction behind every message, and what hands messages to it."""
