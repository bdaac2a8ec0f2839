-- A batch of records that all follow what is stored of their shards, in one round trip that is a transaction of its own.
-- Lists of columns. A record that is there already, with the same content, is let go. Returns where those lie that were
-- new. Raises DFENC, and then nothing is changed, if another consumer has stored one of the shards meanwhile.
CREATE FUNCTION store_batch(
    heard_source text[], heard_shard smallint[], was_position bigint[], was_last uuid[], was_offset bigint[],
    now_position bigint[], now_last uuid[], now_offset bigint[],
    record_topic text[], record_partition integer[], record_offset bigint[], record_digest bytea[], record_key bytea[],
    record_headers json[], record_value bytea[], record_at timestamptz[],
    event_source text[], event_shard smallint[], event_sequence bigint[], event_id uuid[], event_previous uuid[],
    event_type text[], event_dossier uuid[], event_topic text[], event_offset bigint[], event_digest bytea[]
) RETURNS TABLE (at_topic text, at_partition integer, at_offset bigint) LANGUAGE plpgsql AS $$
DECLARE
    rows_same bigint;
BEGIN
    SELECT count(*) INTO rows_same FROM (
        SELECT FROM heard h JOIN unnest(heard_source, heard_shard, was_position, was_last, was_offset)
                                 AS k(source, shard, position, last, next_offset) USING (source, shard)
        WHERE h.position = k.position AND h.last_event_id IS NOT DISTINCT FROM k.last AND h.next_offset = k.next_offset
        ORDER BY h.source, h.shard FOR UPDATE OF h) same;
    IF rows_same <> cardinality(heard_source) THEN
        RAISE 'a shard was stored by another consumer' USING ERRCODE = 'DFENC';
    END IF;
    RETURN QUERY
        WITH stored AS (
            INSERT INTO records (topic, partition, "offset", digest, key, headers, value, record_time)
            SELECT * FROM unnest(record_topic, record_partition, record_offset, record_digest, record_key,
                                 record_headers, record_value, record_at)
            ON CONFLICT DO NOTHING RETURNING id, topic, partition, "offset", digest
        ), joined AS (
            INSERT INTO trail (source, shard, sequence, record_id, digest, event_id, previous, type, dossier_id)
            SELECT e.source, e.shard, e.sequence, s.id, e.digest, e.id, e.previous, e.type, e.dossier_id
            FROM unnest(event_source, event_shard, event_sequence, event_id, event_previous, event_type, event_dossier,
                        event_topic, event_offset, event_digest)
                 AS e(source, shard, sequence, id, previous, type, dossier_id, topic, at, digest)
            JOIN stored s ON s.topic = e.topic AND s.partition = e.shard AND s."offset" = e.at AND s.digest = e.digest
        )
        SELECT topic, partition, "offset" FROM stored;
    UPDATE heard h SET position = w.position, last_event_id = w.last, next_offset = w.next_offset
    FROM unnest(heard_source, heard_shard, now_position, now_last, now_offset)
         AS w(source, shard, position, last, next_offset)
    WHERE h.source = w.source AND h.shard = w.shard;
END
$$;

REVOKE ALL ON FUNCTION store_batch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store_batch TO :service;
