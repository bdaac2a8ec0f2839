-- Discrepancies that somebody has looked into and answers for. The evidence itself is never changed or removed.
CREATE TABLE settled_discrepancies (
    id         uuid        PRIMARY KEY REFERENCES discrepancies (id),
    settled_at timestamptz NOT NULL DEFAULT now(),
    settled_by text        NOT NULL,
    reason     text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 500)
);
GRANT SELECT, INSERT ON settled_discrepancies TO :service;
