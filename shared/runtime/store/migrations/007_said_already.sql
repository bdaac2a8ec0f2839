-- A task's outcome is the message of its id. Where that message has caused an event already, the task has nothing left to
-- do: in a restored database, whoever is heard again would otherwise order anew what was done after the backup.
CREATE FUNCTION said_already() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN EXISTS (SELECT FROM events WHERE caused_by = NEW.id) THEN NULL ELSE NEW END;
END
$$;
CREATE TRIGGER tasks_said_already BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION said_already();
