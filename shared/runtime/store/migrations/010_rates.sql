-- How fast each client may ask, over all replicas: a bucket that fills by time and is emptied by what was granted. Not
-- logged: after a crash of the server everybody begins with a full one.
CREATE UNLOGGED TABLE rates (
    client text PRIMARY KEY,
    tokens double precision NOT NULL,
    granted integer NOT NULL,
    at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON rates TO :service;
