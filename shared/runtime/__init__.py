"""How a service runs: the engine, the event store that is the outbox, the relay, the consumer, tasks, sealing, HTTP."""
