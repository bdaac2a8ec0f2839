-- Whose fee is asked for and unpaid, and since when (services/payment/views.py).
CREATE TABLE unpaid (
    dossier_id uuid        PRIMARY KEY,
    unit       text        NOT NULL,
    since      timestamptz NOT NULL,
    total_vnd  bigint      NOT NULL
);
CREATE INDEX unpaid_since ON unpaid (since);
GRANT SELECT, INSERT, DELETE ON unpaid TO :service;
