-- Which key-encryption keys are in use, and which data keys are still to be wrapped under the newest.
CREATE INDEX data_keys_kek ON data_keys (kek_id);
