-- Every dead letter has a code of the registry (shared/registry.py); of letters older than this column it is not known.
ALTER TABLE dead_letters ADD COLUMN error_code text CHECK (error_code ~ '^DOS-[A-Z]{3}-[0-9]{3}$');
