-- Work that is due at times (the table of jobs of a service's tasks.py): up to when its due times are settled, and which one
-- is next. The run itself is a task, of which there is one for each row; its end moves both in one transaction.
CREATE TABLE jobs (
    name         text        PRIMARY KEY,
    handled_at   timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    succeeded_at timestamptz,
    failures     integer     NOT NULL DEFAULT 0
);
GRANT SELECT, INSERT, UPDATE ON jobs TO :service;
