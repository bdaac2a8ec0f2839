-- Who holds a lease or claim, by the stable name of the replica: a process that is started again takes its own back.
ALTER TABLE relay ADD COLUMN instance text;
ALTER TABLE tasks ADD COLUMN claimed_by text;

-- Where on the keys topic a key of ours lies, so that what the topic lost can be told and published again.
ALTER TABLE data_keys ADD COLUMN published_partition smallint, ADD COLUMN published_offset bigint;
CREATE INDEX data_keys_published ON data_keys (published_partition, published_offset)
    WHERE published_offset IS NOT NULL;
