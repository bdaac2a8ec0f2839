-- The unit in charge, which is not always who has to act: while a supplement is awaited that is the applicant.
ALTER TABLE states RENAME COLUMN holder TO unit;

-- The list of one unit's dossiers whose limit passed unanswered, in pages; and their number in all units.
DROP INDEX states_attention;
CREATE INDEX states_attention ON states (unit, attention_at, dossier_id) WHERE attention_at IS NOT NULL;
