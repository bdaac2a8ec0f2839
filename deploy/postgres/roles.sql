-- One service's roles: the owner of its tables, who cannot log in, and the role the service logs in as. Idempotent.
DO $$ BEGIN CREATE ROLE :owner NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE :service LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
ALTER ROLE :service NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION LOGIN;

-- Seconds, so that what a stopped process holds is freed while the others wait for it.
ALTER ROLE :service SET lock_timeout = '5s';
ALTER ROLE :service SET statement_timeout = '10s';
ALTER ROLE :service SET idle_in_transaction_session_timeout = '10s';
DO $$ BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        ALTER ROLE :service SET transaction_timeout = '15s';
    END IF;
END $$;
