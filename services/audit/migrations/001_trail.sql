-- The second copy of everything that was published: records as they came, and the trail that they make up.
-- :service may read and add, never change: what audit has stored stays as it was stored.

-- One row a record read. A topic that lost its tail gives an offset twice, so the content is part of the key.
-- headers is a list of [name, hex], repeats and order kept; json and not jsonb, which could not hold every name.
CREATE TABLE records (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    digest      bytea       NOT NULL CHECK (length(digest) = 32),
    key         bytea,
    headers     json        NOT NULL,
    value       bytea,
    record_time timestamptz,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic, partition, "offset", digest)
);

-- One row a position of a writer's shard: the first record that filled it.
CREATE TABLE trail (
    source     text     NOT NULL,
    shard      smallint NOT NULL,
    sequence   bigint   NOT NULL,
    record_id  bigint   NOT NULL UNIQUE REFERENCES records (id),
    digest     bytea    NOT NULL,
    event_id   uuid     NOT NULL,
    previous   uuid,
    type       text     NOT NULL,
    dossier_id uuid     NOT NULL,
    PRIMARY KEY (source, shard, sequence)
);

-- Where a topic does not tell one unbroken story; each is also said as DiscrepancyFound by the task of the same id.
CREATE TABLE discrepancies (
    id        uuid        PRIMARY KEY,
    record_id bigint      NOT NULL REFERENCES records (id),
    kind      text        NOT NULL CHECK (kind IN ('gap', 'fork', 'second-content', 'foreign', 'unreadable')),
    source    text        NOT NULL,
    shard     smallint    NOT NULL,
    sequence  bigint,
    expected  bigint,
    found_at  timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT ON records, trail, discrepancies TO :service;
