-- A state is a cache of what was said and heard, and has a shape: the number that a release gives to how it folds. All
-- states of a shard have one shape; `rebuild --apply` makes them anew in another one, and moves the shard there.
ALTER TABLE shards ADD COLUMN shape smallint NOT NULL DEFAULT 1;

-- A task's payload has the shape of the release that ordered it.
ALTER TABLE tasks ADD COLUMN shape smallint NOT NULL DEFAULT 1;

-- States in the making, how far they are folded, and what may not be folded, while the ones in force are written by the
-- processes of the service.
CREATE TABLE rebuilding (
    shard         smallint NOT NULL,
    source        text     NOT NULL,
    shape         smallint NOT NULL,
    position      bigint   NOT NULL DEFAULT 0,
    last_event_id uuid,
    next_offset   bigint   NOT NULL DEFAULT 0,
    PRIMARY KEY (shard, source)
) WITH (fillfactor = 40);
CREATE TABLE rebuilt (
    shard      smallint NOT NULL,
    dossier_id uuid     NOT NULL,
    subject    text     NOT NULL,
    state      jsonb    NOT NULL,
    rows       jsonb    NOT NULL,
    PRIMARY KEY (shard, dossier_id)
) WITH (fillfactor = 70);
CREATE TABLE passed_over (
    shard    smallint NOT NULL,
    topic    text     NOT NULL,
    "offset" bigint   NOT NULL,
    PRIMARY KEY (shard, topic, "offset")
);
GRANT SELECT, INSERT, UPDATE, DELETE ON rebuilding, rebuilt, passed_over TO :service;

-- What an event, a task and a state is about has a kind and an id. The column of the id is older than the second kind.
ALTER TABLE states ADD COLUMN subject text NOT NULL DEFAULT 'dossier';
ALTER TABLE tasks ADD COLUMN subject text NOT NULL DEFAULT 'dossier';

-- Writes rows of a view, and takes away those of the same dossiers that were there. A view's columns are those of its table:
-- what a row does not name is null there.
CREATE FUNCTION write_view(name text, dossiers uuid[], new_rows jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM %I WHERE dossier_id = ANY ($1)', name) USING dossiers;
    EXECUTE format('INSERT INTO %1$I SELECT r.* FROM unnest($1) AS t(one)
                    CROSS JOIN LATERAL jsonb_populate_record(NULL::%1$I, t.one) AS r', name) USING new_rows;
END
$$;
REVOKE ALL ON FUNCTION write_view (text, uuid[], jsonb[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION write_view (text, uuid[], jsonb[]) TO :service;

-- `commit_batch` as it was (008), but that a process writes only shards whose states have its own shape, and writes the rows
-- of views with the states that they are drawn from. A process of the release before, which knows no shapes, writes none
-- but the first.
CREATE FUNCTION commit_batch(
    own_shape smallint, touched smallint[], seen bigint[],
    heard_source text[], heard_shard smallint[], heard_expected bigint[], heard_position bigint[], heard_last uuid[],
    heard_offset bigint[],
    claim_task uuid[], claim_token uuid[],
    state_dossier uuid[], state_subject text[], state_version integer[], state_steps integer[], state_parked boolean[], state_text text[],
    state_unit text[], state_status smallint[], state_attention timestamptz[],
    view_name text[], view_dossier uuid[], view_row text[],
    event_shard smallint[], event_id uuid[], event_dossier uuid[], event_cause uuid[], event_type text[],
    event_headers text[], event_data bytea[],
    task_id uuid[], task_kind text[], task_dossier uuid[], task_subject text[], task_payload text[], task_run_at timestamptz[],
    task_said uuid[], task_claim uuid[], claimant text, lease_s float8,
    answer_client text[], answer_method text[], answer_path text[], answer_key text[], answer_hmac bytea[],
    answer_status smallint[], answer_text text[],
    key_dossier uuid[], key_kek text[], key_wrapped bytea[]
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
        UPDATE states s SET version = s.version + w.steps, parked = w.parked, state = w.state::jsonb,
            unit = w.unit, status = w.status, attention_at = w.attention_at
        FROM unnest(state_dossier, state_version, state_steps, state_parked, state_text, state_unit, state_status,
                    state_attention) AS w(dossier_id, version, steps, parked, state, unit, status, attention_at)
        WHERE s.dossier_id = w.dossier_id AND s.version = w.version;
        GET DIAGNOSTICS rows_found = ROW_COUNT;
        IF 0 = ANY (state_version) THEN
            INSERT INTO states (dossier_id, subject, version, parked, state, unit, status, attention_at)
            SELECT w.dossier_id, w.subject, w.steps, w.parked, w.state::jsonb, w.unit, w.status, w.attention_at
            FROM unnest(state_dossier, state_subject, state_version, state_steps, state_parked, state_text, state_unit,
                        state_status, state_attention)
                 AS w(dossier_id, subject, version, steps, parked, state, unit, status, attention_at)
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
    END IF;

    UPDATE heard h SET position = coalesce(w.position, h.position), last_event_id = coalesce(w.last, h.last_event_id),
        next_offset = greatest(h.next_offset, w.next_offset)
    FROM unnest(heard_source, heard_shard, heard_position, heard_last, heard_offset)
         AS w(source, shard, position, last, next_offset)
    WHERE h.source = w.source AND h.shard = w.shard;

    RETURN QUERY SELECT s.shard, s.next_position - 1, NULL::uuid FROM shards s WHERE s.shard = ANY (touched);
END
$$;

REVOKE ALL ON FUNCTION commit_batch (smallint, smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[],
    uuid[], text[], integer[], integer[], boolean[], text[], text[], smallint[], timestamptz[], text[],
    uuid[], text[], smallint[], uuid[], uuid[], uuid[], text[], text[], bytea[], uuid[], text[], uuid[],
    text[], text[], timestamptz[], uuid[], uuid[], text, float8, text[], text[], text[], text[], bytea[],
    smallint[], text[], uuid[], text[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION commit_batch (smallint, smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[],
    uuid[], text[], integer[], integer[], boolean[], text[], text[], smallint[], timestamptz[], text[],
    uuid[], text[], smallint[], uuid[], uuid[], uuid[], text[], text[], bytea[], uuid[], text[], uuid[],
    text[], text[], timestamptz[], uuid[], uuid[], text, float8, text[], text[], text[], text[], bytea[],
    smallint[], text[], uuid[], text[], bytea[]) TO :service;

ALTER FUNCTION commit_batch (smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[], uuid[],
    integer[], integer[], boolean[], text[], text[], smallint[], timestamptz[], smallint[], uuid[], uuid[],
    uuid[], text[], text[], bytea[], uuid[], text[], uuid[], text[], timestamptz[], uuid[], uuid[], text,
    float8, text[], text[], text[], text[], bytea[], smallint[], text[], uuid[], text[], bytea[]) RENAME TO commit_batch_unshaped;
CREATE FUNCTION commit_batch (
    touched smallint[], seen bigint[],
    heard_source text[], heard_shard smallint[], heard_expected bigint[], heard_position bigint[], heard_last uuid[],
    heard_offset bigint[],
    claim_task uuid[], claim_token uuid[],
    state_dossier uuid[], state_version integer[], state_steps integer[], state_parked boolean[], state_text text[],
    state_unit text[], state_status smallint[], state_attention timestamptz[],
    event_shard smallint[], event_id uuid[], event_dossier uuid[], event_cause uuid[], event_type text[],
    event_headers text[], event_data bytea[],
    task_id uuid[], task_kind text[], task_dossier uuid[], task_payload text[], task_run_at timestamptz[],
    task_said uuid[], task_claim uuid[], claimant text, lease_s float8,
    answer_client text[], answer_method text[], answer_path text[], answer_key text[], answer_hmac bytea[],
    answer_status smallint[], answer_text text[],
    key_dossier uuid[], key_kek text[], key_wrapped bytea[]
) RETURNS TABLE (one_shard smallint, last_position bigint, claimed_task uuid) LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM shards s WHERE s.shard = ANY (touched) AND s.shape <> 1) THEN
        RAISE 'the states of this shard belong to a later release' USING ERRCODE = 'DOLDR';
    END IF;
    RETURN QUERY SELECT * FROM commit_batch_unshaped(
        touched, seen, heard_source, heard_shard, heard_expected, heard_position, heard_last, heard_offset,
        claim_task, claim_token, state_dossier, state_version, state_steps, state_parked, state_text, state_unit,
        state_status, state_attention, event_shard, event_id, event_dossier, event_cause, event_type, event_headers,
        event_data, task_id, task_kind, task_dossier, task_payload, task_run_at, task_said, task_claim, claimant,
        lease_s, answer_client, answer_method, answer_path, answer_key, answer_hmac, answer_status, answer_text,
        key_dossier, key_kek, key_wrapped);
END
$$;
REVOKE ALL ON FUNCTION commit_batch (smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[], uuid[],
    integer[], integer[], boolean[], text[], text[], smallint[], timestamptz[], smallint[], uuid[], uuid[],
    uuid[], text[], text[], bytea[], uuid[], text[], uuid[], text[], timestamptz[], uuid[], uuid[], text,
    float8, text[], text[], text[], text[], bytea[], smallint[], text[], uuid[], text[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION commit_batch (smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[], uuid[],
    integer[], integer[], boolean[], text[], text[], smallint[], timestamptz[], smallint[], uuid[], uuid[],
    uuid[], text[], text[], bytea[], uuid[], text[], uuid[], text[], timestamptz[], uuid[], uuid[], text,
    float8, text[], text[], text[], text[], bytea[], smallint[], text[], uuid[], text[], bytea[]) TO :service;
