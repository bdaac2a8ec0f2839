-- What lists and gauges show is drawn into views (012). The columns `unit`, `status` and `attention_at` of states are written
-- by nobody but processes of the release before, through their own `commit_batch`, as long as some run beside this one; they
-- are empty in what is new, nobody reads them any more, and a later release takes them away.
DROP INDEX states_attention;

-- By what a dossier may be found that nobody may read: keyed digests (HMAC-SHA256) of what its applicant has stated, each of a
-- kind such as "phone". They are written with the request that states it, for they cannot be drawn from what is sealed; and
-- they are gone when the data key of the dossier is, whoever destroys it.
CREATE TABLE digests (
    dossier_id uuid  NOT NULL,
    kind       text  NOT NULL,
    digest     bytea NOT NULL,
    PRIMARY KEY (dossier_id, kind)
);
CREATE INDEX digests_digest ON digests (digest);
GRANT SELECT, INSERT, DELETE ON digests TO :service;

CREATE FUNCTION forget_digests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM digests WHERE dossier_id = NEW.dossier_id;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION forget_digests FROM PUBLIC;
CREATE TRIGGER data_key_destroyed AFTER INSERT OR UPDATE ON data_keys FOR EACH ROW
    WHEN (NEW.destroyed_at IS NOT NULL) EXECUTE FUNCTION forget_digests();

-- Writes the digests of these dossiers in the place of those that were there. One whose key is gone, or goes at this moment,
-- has none: the row of its key is locked first, so that whoever destroys it comes before or after.
CREATE FUNCTION write_digests(dossiers uuid[], kinds text[], new_digests bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM data_keys k WHERE k.dossier_id = ANY (dossiers) ORDER BY k.dossier_id FOR SHARE;
    DELETE FROM digests d WHERE d.dossier_id = ANY (dossiers);
    INSERT INTO digests (dossier_id, kind, digest)
        SELECT w.dossier_id, w.kind, w.digest FROM unnest(dossiers, kinds, new_digests) AS w(dossier_id, kind, digest)
        JOIN data_keys k USING (dossier_id) WHERE k.destroyed_at IS NULL;
END
$$;
REVOKE ALL ON FUNCTION write_digests FROM PUBLIC;
GRANT EXECUTE ON FUNCTION write_digests TO :service;

-- `commit_batch` as it was (012), but that states are written without those three columns, and digests with the requests that
-- state what they are of. The function of the release before (008, in 012 kept to shards of the first shape) stays for its
-- processes; that of 012 was never in a release.
DROP FUNCTION commit_batch (
    smallint, smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[],
    uuid[], text[], integer[], integer[], boolean[], text[], text[], smallint[], timestamptz[], text[], uuid[],
    text[], smallint[], uuid[], uuid[], uuid[], text[], text[], bytea[], uuid[], text[], uuid[], text[], text[],
    timestamptz[], uuid[], uuid[], text, float8, text[], text[], text[], text[], bytea[], smallint[], text[],
    uuid[], text[], bytea[]);
CREATE FUNCTION commit_batch(
    own_shape smallint, touched smallint[], seen bigint[],
    heard_source text[], heard_shard smallint[], heard_expected bigint[], heard_position bigint[], heard_last uuid[],
    heard_offset bigint[],
    claim_task uuid[], claim_token uuid[],
    state_dossier uuid[], state_subject text[], state_version integer[], state_steps integer[], state_parked boolean[], state_text text[],
    view_name text[], view_dossier uuid[], view_row text[],
    event_shard smallint[], event_id uuid[], event_dossier uuid[], event_cause uuid[], event_type text[],
    event_headers text[], event_data bytea[],
    task_id uuid[], task_kind text[], task_dossier uuid[], task_subject text[], task_payload text[], task_run_at timestamptz[],
    task_said uuid[], task_claim uuid[], claimant text, lease_s float8,
    answer_client text[], answer_method text[], answer_path text[], answer_key text[], answer_hmac bytea[],
    answer_status smallint[], answer_text text[],
    key_dossier uuid[], key_kek text[], key_wrapped bytea[],
    find_dossier uuid[], find_kind text[], find_digest bytea[]
) RETURNS TABLE (one_shard smallint, last_position bigint, claimed_task uuid) LANGUAGE plpgsql AS $$
DECLARE
    rows_found bigint;
    rows_more bigint := 0;
    rows_wrong bigint;
    moved_shape smallint;
    one_view text;
BEGIN
    IF cardinality(heard_source) > 0 THEN
        SELECT count(*), count(*) FILTER (WHERE l.position <> l.expected) INTO rows_found, rows_wrong FROM (
            SELECT h.position, k.expected FROM heard h
            JOIN unnest(heard_source, heard_shard, heard_expected) AS k(source, shard, expected) USING (source, shard)
            ORDER BY h.source, h.shard FOR UPDATE OF h) l;
        IF rows_found <> cardinality(heard_source) OR rows_wrong > 0 THEN
            RAISE 'what was heard was moved by another consumer' USING ERRCODE = 'DFENC';
        END IF;
    END IF;

    IF cardinality(touched) > 0 THEN
        SELECT count(*) FILTER (WHERE l.next_position <= l.seen), max(l.shape) FILTER (WHERE l.shape <> own_shape)
        INTO rows_wrong, moved_shape FROM (
            SELECT s.next_position, s.shape, k.seen FROM shards s
            JOIN unnest(touched, seen) AS k(shard, seen) USING (shard) ORDER BY s.shard FOR UPDATE OF s) l;
        IF rows_wrong > 0 THEN
            RAISE 'the store is older than what this process has seen of it' USING ERRCODE = 'DOLDR';
        END IF;
        IF moved_shape IS NOT NULL THEN
            RAISE 'states have shape %, and this release has %', moved_shape, own_shape USING ERRCODE = 'DSHAP';
        END IF;
    END IF;

    IF cardinality(claim_task) > 0 THEN
        DELETE FROM tasks t WHERE t.id = ANY (claim_task)
            AND ((t.id, t.claim) IN (SELECT * FROM unnest(claim_task, claim_token))) IS TRUE;
        GET DIAGNOSTICS rows_found = ROW_COUNT;
        IF rows_found <> cardinality(claim_task) THEN
            RAISE 'a task belongs to another worker by now' USING ERRCODE = 'DCONF';
        END IF;
    END IF;

    IF cardinality(state_dossier) > 0 THEN
        UPDATE states s SET version = s.version + w.steps, parked = w.parked, state = w.state::jsonb
        FROM unnest(state_dossier, state_version, state_steps, state_parked, state_text)
             AS w(dossier_id, version, steps, parked, state)
        WHERE s.dossier_id = w.dossier_id AND s.version = w.version;
        GET DIAGNOSTICS rows_found = ROW_COUNT;
        IF 0 = ANY (state_version) THEN
            INSERT INTO states (dossier_id, subject, version, parked, state)
            SELECT w.dossier_id, w.subject, w.steps, w.parked, w.state::jsonb
            FROM unnest(state_dossier, state_subject, state_version, state_steps, state_parked, state_text)
                 AS w(dossier_id, subject, version, steps, parked, state)
            WHERE w.version = 0
            ON CONFLICT (dossier_id) DO NOTHING;
            GET DIAGNOSTICS rows_more = ROW_COUNT;
        END IF;
        IF rows_found + rows_more <> cardinality(state_dossier) THEN
            RAISE 'a dossier was written by somebody else' USING ERRCODE = 'DCONF';
        END IF;
    END IF;

    FOREACH one_view IN ARRAY ARRAY(SELECT DISTINCT n FROM unnest(view_name) AS v(n) ORDER BY n) LOOP
        PERFORM write_view(one_view, ARRAY(SELECT w.dossier FROM unnest(view_name, view_dossier) AS w(name, dossier)
                                           WHERE w.name = one_view),
                           ARRAY(SELECT w.one::jsonb FROM unnest(view_name, view_row) AS w(name, one)
                                 WHERE w.name = one_view AND w.one IS NOT NULL));
    END LOOP;

    IF cardinality(event_id) > 0 THEN
        INSERT INTO events (shard, position, event_id, dossier_id, caused_by, type, headers, data)
        SELECT e.shard, e.position, e.id, e.dossier_id, e.caused_by, e.type,
               e.headers::jsonb || jsonb_build_object('ce_sequence', lpad(e.position::text, 20, '0'))
                   || CASE WHEN e.previous IS NULL THEN '{}' ELSE jsonb_build_object('ce_previous', e.previous) END,
               e.data
        FROM (SELECT w.*, s.next_position + row_number() OVER chain - 1 AS position,
                     lag(w.id, 1, s.last_event_id) OVER chain AS previous
              FROM unnest(event_shard, event_id, event_dossier, event_cause, event_type, event_headers, event_data)
                   WITH ORDINALITY AS w(shard, id, dossier_id, caused_by, type, headers, data, n)
              JOIN shards s ON s.shard = w.shard
              WINDOW chain AS (PARTITION BY w.shard ORDER BY w.n)) e;
        UPDATE shards s SET next_position = s.next_position + w.count, last_event_id = w.last
        FROM (SELECT e.shard, count(*) AS count, (array_agg(e.id ORDER BY e.n DESC))[1] AS last
              FROM unnest(event_shard, event_id) WITH ORDINALITY AS e(shard, id, n) GROUP BY e.shard) w
        WHERE s.shard = w.shard;
    END IF;

    IF cardinality(task_id) > 0 THEN
        RETURN QUERY WITH added AS (
            INSERT INTO tasks (id, kind, dossier_id, payload, run_at, attempts, claim, claimed_by, shape, subject)
            SELECT w.id, w.kind, w.dossier_id, w.payload::jsonb,
                   CASE WHEN w.claim IS NULL THEN coalesce(w.run_at, now())
                        ELSE now() + make_interval(secs => lease_s) END,
                   CASE WHEN w.claim IS NULL THEN 0 ELSE 1 END, w.claim,
                   CASE WHEN w.claim IS NOT NULL THEN claimant END, own_shape, w.subject
            FROM unnest(task_id, task_kind, task_dossier, task_subject, task_payload, task_run_at, task_said, task_claim)
                 AS w(id, kind, dossier_id, subject, payload, run_at, said, claim)
            WHERE (SELECT e.event_id FROM events e WHERE e.event_id = w.said) IS NULL
            ON CONFLICT (id) DO NOTHING RETURNING id, claim)
        SELECT NULL::smallint, NULL::bigint, a.id FROM added a WHERE a.claim IS NOT NULL;
    END IF;

    IF cardinality(answer_key) > 0 THEN
        INSERT INTO requests (client, method, path, key, body_hmac, status, answer)
        SELECT w.client, w.method, w.path, w.key, w.body_hmac, w.status, w.answer::jsonb
        FROM unnest(answer_client, answer_method, answer_path, answer_key, answer_hmac, answer_status, answer_text)
             AS w(client, method, path, key, body_hmac, status, answer)
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS rows_found = ROW_COUNT;
        IF rows_found <> cardinality(answer_key) THEN
            RAISE 'an idempotency key was answered meanwhile' USING ERRCODE = 'DCONF';
        END IF;
        INSERT INTO data_keys (dossier_id, kek_id, wrapped, published)
        SELECT w.dossier_id, w.kek_id, w.wrapped, false
        FROM unnest(key_dossier, key_kek, key_wrapped) AS w(dossier_id, kek_id, wrapped)
        ON CONFLICT DO NOTHING;
        IF cardinality(find_dossier) > 0 THEN
            PERFORM write_digests(find_dossier, find_kind, find_digest);
        END IF;
    END IF;

    UPDATE heard h SET position = coalesce(w.position, h.position), last_event_id = coalesce(w.last, h.last_event_id),
        next_offset = greatest(h.next_offset, w.next_offset)
    FROM unnest(heard_source, heard_shard, heard_position, heard_last, heard_offset)
         AS w(source, shard, position, last, next_offset)
    WHERE h.source = w.source AND h.shard = w.shard;

    RETURN QUERY SELECT s.shard, s.next_position - 1, NULL::uuid FROM shards s WHERE s.shard = ANY (touched);
END
$$;
REVOKE ALL ON FUNCTION commit_batch (
    smallint, smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[],
    uuid[], text[], integer[], integer[], boolean[], text[], text[], uuid[], text[], smallint[], uuid[], uuid[],
    uuid[], text[], text[], bytea[], uuid[], text[], uuid[], text[], text[], timestamptz[], uuid[], uuid[], text,
    float8, text[], text[], text[], text[], bytea[], smallint[], text[], uuid[], text[], bytea[], uuid[], text[],
    bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION commit_batch (
    smallint, smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[],
    uuid[], text[], integer[], integer[], boolean[], text[], text[], uuid[], text[], smallint[], uuid[], uuid[],
    uuid[], text[], text[], bytea[], uuid[], text[], uuid[], text[], text[], timestamptz[], uuid[], uuid[], text,
    float8, text[], text[], text[], text[], bytea[], smallint[], text[], uuid[], text[], bytea[], uuid[], text[],
    bytea[]) TO :service;
