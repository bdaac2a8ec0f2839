"""From the store to Kafka: the relay, and what it sends."""
