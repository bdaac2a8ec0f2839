-- Who may do what in one service's database; tables and their grants come from the migrations. Idempotent.
ALTER SCHEMA public OWNER TO :owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :service, :auditor;

SET ROLE :owner;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO :auditor;
CREATE TABLE IF NOT EXISTS migrations (
    name       text        PRIMARY KEY,
    digest     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
-- Whether a release that does not know the migration works on beside it. What is older than this column every release knows.
ALTER TABLE migrations ADD COLUMN IF NOT EXISTS additive boolean NOT NULL DEFAULT false;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO :auditor;
RESET ROLE;
