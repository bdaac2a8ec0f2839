-- Until when the result is owed: of dossiers that were accepted before this was looked at (status 2 accepted, 4 in process).
UPDATE states SET attention_at = (state #>> '{intake,due_at}')::timestamptz WHERE status IN (2, 4);
