-- The operator's role that may read every table of every service, and change nothing. Idempotent.
DO $$ BEGIN CREATE ROLE :auditor LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
ALTER ROLE :auditor NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION LOGIN;
ALTER ROLE :auditor SET default_transaction_read_only = on;
ALTER ROLE :auditor SET lock_timeout = '5s';
ALTER ROLE :auditor SET statement_timeout = '10min';
ALTER ROLE :auditor SET idle_in_transaction_session_timeout = '60s';
