-- The ids of events follow from the message that caused them, so that whether a message was answered is asked of the first
-- of these (by event_id), and nobody ever looked events up by dossier: each index was a write at a random place an event.
DROP INDEX events_caused_by;
DROP INDEX events_dossier;

-- A task's outcome is the message of its id. Where that has caused an event already the task has nothing left to do, which
-- is now asked once a batch and not once a row: `task_said` is the first event that each outcome would cause.
DROP TRIGGER tasks_said_already ON tasks;
DROP FUNCTION said_already();

-- `commit_batch` as it was (005), but for its tasks: those with a `task_claim` begin their life claimed by whoever commits
-- them, for `lease_s` seconds, and are named in the answer if they were not there yet. The function of the release before
-- stays for processes of that release.
CREATE FUNCTION commit_batch(
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
DECLARE
    rows_found bigint;
    rows_more bigint := 0;
    rows_wrong bigint;
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
        SELECT count(*) INTO rows_wrong FROM (
            SELECT s.next_position, k.seen FROM shards s
            JOIN unnest(touched, seen) AS k(shard, seen) USING (shard) ORDER BY s.shard FOR UPDATE OF s) l
        WHERE l.next_position <= l.seen;
        IF rows_wrong > 0 THEN
            RAISE 'the store is older than what this process has seen of it' USING ERRCODE = 'DOLDR';
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
            INSERT INTO states (dossier_id, version, parked, state, unit, status, attention_at)
            SELECT w.dossier_id, w.steps, w.parked, w.state::jsonb, w.unit, w.status, w.attention_at
            FROM unnest(state_dossier, state_version, state_steps, state_parked, state_text, state_unit, state_status,
                        state_attention) AS w(dossier_id, version, steps, parked, state, unit, status, attention_at)
            WHERE w.version = 0
            ON CONFLICT (dossier_id) DO NOTHING;
            GET DIAGNOSTICS rows_more = ROW_COUNT;
        END IF;
        IF rows_found + rows_more <> cardinality(state_dossier) THEN
            RAISE 'a dossier was written by somebody else' USING ERRCODE = 'DCONF';
        END IF;
    END IF;

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
            INSERT INTO tasks (id, kind, dossier_id, payload, run_at, attempts, claim, claimed_by)
            SELECT w.id, w.kind, w.dossier_id, w.payload::jsonb,
                   CASE WHEN w.claim IS NULL THEN coalesce(w.run_at, now())
                        ELSE now() + make_interval(secs => lease_s) END,
                   CASE WHEN w.claim IS NULL THEN 0 ELSE 1 END, w.claim,
                   CASE WHEN w.claim IS NOT NULL THEN claimant END
            FROM unnest(task_id, task_kind, task_dossier, task_payload, task_run_at, task_said, task_claim)
                 AS w(id, kind, dossier_id, payload, run_at, said, claim)
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

REVOKE ALL ON FUNCTION commit_batch (smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[], uuid[], integer[],
    integer[], boolean[], text[], text[], smallint[], timestamptz[], smallint[], uuid[], uuid[], uuid[], text[], text[],
    bytea[], uuid[], text[], uuid[], text[], timestamptz[], uuid[], uuid[], text, float8, text[], text[], text[],
    text[], bytea[], smallint[], text[], uuid[], text[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION commit_batch (smallint[], bigint[], text[], smallint[], bigint[], bigint[], uuid[], bigint[], uuid[], uuid[], uuid[], integer[],
    integer[], boolean[], text[], text[], smallint[], timestamptz[], smallint[], uuid[], uuid[], uuid[], text[], text[],
    bytea[], uuid[], text[], uuid[], text[], timestamptz[], uuid[], uuid[], text, float8, text[], text[], text[],
    text[], bytea[], smallint[], text[], uuid[], text[], bytea[]) TO :service;
