-- The event store that is the outbox, and everything the engine commits with it in one transaction.
-- :owner is NOLOGIN and owns the tables; :service is the role that the service logs in as.

CREATE TABLE events (
    shard       smallint    NOT NULL,
    position    bigint      NOT NULL,
    event_id    uuid        NOT NULL UNIQUE,
    dossier_id  uuid        NOT NULL,
    caused_by   uuid        NOT NULL,
    type        text        NOT NULL,
    headers     jsonb       NOT NULL,
    data        bytea       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, position)
);
CREATE INDEX events_caused_by ON events (caused_by);
CREATE INDEX events_dossier ON events (dossier_id);

-- What the service remembers of a dossier. holder, status and attention_at are drawn from the state for lists and gauges.
CREATE TABLE states (
    dossier_id   uuid    PRIMARY KEY,
    version      integer NOT NULL,
    parked       boolean NOT NULL DEFAULT false,
    state        jsonb   NOT NULL,
    holder       text,
    status       smallint,
    attention_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX states_attention ON states (attention_at) WHERE attention_at IS NOT NULL;
CREATE INDEX states_parked ON states (dossier_id) WHERE parked;

-- The counter whose row lock is the "one writer at a time" of a shard.
CREATE TABLE shards (
    shard         smallint PRIMARY KEY,
    next_position bigint   NOT NULL DEFAULT 1,
    last_event_id uuid
) WITH (fillfactor = 40);

CREATE TABLE relay (
    shard       smallint    PRIMARY KEY,
    published   bigint      NOT NULL DEFAULT 0,
    leader      uuid,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 40);

CREATE TABLE heard (
    source        text     NOT NULL,
    shard         smallint NOT NULL,
    position      bigint   NOT NULL DEFAULT 0,
    last_event_id uuid,
    next_offset   bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (source, shard)
) WITH (fillfactor = 40);

CREATE TABLE requests (
    client      text        NOT NULL,
    method      text        NOT NULL,
    path        text        NOT NULL,
    key         text        NOT NULL,
    body_hmac   bytea       NOT NULL,
    status      smallint    NOT NULL,
    answer      jsonb       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client, method, path, key)
);

-- Running numbers: one row a series, such as a unit and a day.
CREATE TABLE numbers (
    series text   PRIMARY KEY,
    last   bigint NOT NULL
) WITH (fillfactor = 40);

-- The task queue; an alarm is a task that may not start before run_at. A claim moves run_at to the end of its lease.
CREATE TABLE tasks (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    dossier_id  uuid        NOT NULL,
    payload     jsonb       NOT NULL,
    run_at      timestamptz NOT NULL DEFAULT now(),
    attempts    integer     NOT NULL DEFAULT 0,
    claim       uuid,
    last_error  text,
    enqueued_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX tasks_due ON tasks (run_at);

-- Headers are json, not jsonb: a foreign record may have a NUL in a header's name.
CREATE TABLE dead_letters (
    id              uuid        PRIMARY KEY,
    origin          text        NOT NULL CHECK (origin IN ('kafka', 'task')),
    topic           text,
    partition       integer,
    "offset"        bigint,
    record_time     timestamptz,
    key             bytea,
    headers         json,
    value           bytea,
    dossier_id      uuid,
    reason          text        NOT NULL,
    error_type      text        NOT NULL,
    message         text        NOT NULL CHECK (length(message) <= 512),
    first_failed_at timestamptz NOT NULL DEFAULT now(),
    last_failed_at  timestamptz NOT NULL DEFAULT now(),
    attempts        integer     NOT NULL DEFAULT 1,
    redrives        integer     NOT NULL DEFAULT 0,
    settled_at      timestamptz,
    settled_by      text
);
CREATE INDEX dead_letters_open ON dead_letters (dossier_id) WHERE settled_at IS NULL;

-- What waits behind a dead letter of the same dossier, in order, as it came.
CREATE TABLE parked_messages (
    ordinal     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          uuid        NOT NULL UNIQUE,
    dossier_id  uuid        NOT NULL,
    origin      text        NOT NULL CHECK (origin IN ('kafka', 'task')),
    topic       text,
    partition   integer,
    "offset"    bigint,
    record_time timestamptz,
    key         bytea,
    headers     json,
    value       bytea,
    parked_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX parked_messages_dossier ON parked_messages (dossier_id, ordinal);

-- Wrapped data keys, one a dossier: deletable, so that erasure can be real. A destroyed one leaves its time.
CREATE TABLE data_keys (
    dossier_id   uuid    PRIMARY KEY,
    kek_id       text,
    wrapped      bytea,
    published    boolean NOT NULL DEFAULT true,
    destroyed_at timestamptz,
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);
CREATE INDEX data_keys_unpublished ON data_keys (dossier_id) WHERE NOT published;

-- What an operator did by hand, and why.
CREATE TABLE operator_acts (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    who     text        NOT NULL,
    act     text        NOT NULL,
    detail  jsonb       NOT NULL
);

INSERT INTO shards (shard) SELECT generate_series(0, 11);
INSERT INTO relay (shard) SELECT generate_series(0, 11);

GRANT SELECT, INSERT ON events, operator_acts, requests TO :service;
GRANT SELECT, INSERT, UPDATE ON states, heard, numbers, dead_letters TO :service;
GRANT SELECT, UPDATE ON shards, relay TO :service;
GRANT SELECT, INSERT, UPDATE, DELETE ON tasks, parked_messages, data_keys TO :service;
