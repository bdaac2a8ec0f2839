-- When this database was last backed up: a row is put in by whoever has made a backup, once it is whole. A database
-- restored from one has the row of the one before.
CREATE TABLE backups (at timestamptz PRIMARY KEY DEFAULT now());
GRANT SELECT ON backups TO :service;
