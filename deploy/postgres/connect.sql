-- Who may connect to one service's database. Idempotent.
-- Without CONNECT for PUBLIC, another service's role gets "permission denied for database".
REVOKE ALL ON DATABASE :database FROM PUBLIC;
GRANT CONNECT ON DATABASE :database TO :service, :auditor;
