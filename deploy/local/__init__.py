"""The local ground: a real Kafka and a real PostgreSQL on free ports of 127.0.0.1, their data under `.local/`.

`Ground` starts both (or uses those of KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL), makes secrets, databases and
topics, and ends what it started. `python -m deploy.local doctor` says what a machine lacks.
"""
