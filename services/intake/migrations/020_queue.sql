-- The officers' queue: what there is to be seen of each dossier among others (services/intake/views.py). `accept_by` and
-- `due_at` are limits that run now; `urgent_at` is until when the unit must act, null while it waits for somebody else.
CREATE TABLE queue (
    dossier_id  uuid        PRIMARY KEY,
    unit        text        NOT NULL,
    status      smallint    NOT NULL,
    procedure   text        NOT NULL,
    channel     text        NOT NULL,
    filed_at    timestamptz NOT NULL,
    accept_by   timestamptz,
    due_at      timestamptz,
    urgent_at   timestamptz,
    awaited     text,
    fee_settled boolean     NOT NULL,
    identity    text,
    code        text        NOT NULL
) WITH (fillfactor = 70);
-- Lists of one unit in pages; late results of all units; one dossier by its code. A dossier that is over is in the last only.
CREATE INDEX queue_urgent ON queue (unit, urgent_at, dossier_id) WHERE urgent_at IS NOT NULL;
CREATE INDEX queue_accept ON queue (unit, accept_by, dossier_id) WHERE accept_by IS NOT NULL;
CREATE INDEX queue_due ON queue (due_at, unit) WHERE due_at IS NOT NULL;
CREATE INDEX queue_code ON queue (code);
GRANT SELECT, INSERT, DELETE ON queue TO :service;
