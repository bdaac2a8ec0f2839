-- Dossiers whose applicant could not be told by mail and must be told otherwise; drawn from the state, written with it.
CREATE TABLE unreached (
    dossier_id uuid        PRIMARY KEY,
    unit       text        NOT NULL,
    since      timestamptz NOT NULL,
    notices    integer     NOT NULL
);
-- The list of one unit, the longest waiting first, in pages.
CREATE INDEX unreached_unit ON unreached (unit, since, dossier_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON unreached TO :service;
