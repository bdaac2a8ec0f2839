-- Since when a requested fee is unpaid: of dossiers that were asked to pay before states knew it. The time is the event's
-- own, so that a state folded anew from the events is the same.
UPDATE states s
SET state = jsonb_set(s.state, '{payment,requested_at}', e.headers -> 'ce_time'),
    unit = s.state #>> '{intake,agency}',
    attention_at = CASE WHEN s.state #>> '{payment,settled}' IS NULL
                         AND (s.state #>> '{intake,refused}')::boolean IS NOT TRUE
                        THEN (e.headers ->> 'ce_time')::timestamptz END
FROM events e
WHERE e.dossier_id = s.dossier_id AND e.type = 'vn.gov.dossier.payment-requested.v1';
