"""The guards, how each is taken out (exact text for exact text, found exactly once), and the test that must notice."""

from dataclasses import dataclass

_COMMIT = "tests/integration/runtime/test_engine_commit.py"
_WRITERS = "tests/integration/guards/test_writers.py"
_INCOMING = "tests/integration/guards/test_what_comes_in.py"
_ACKNOWLEDGING = "tests/integration/guards/test_acknowledging.py"
_OFFSETS = "tests/integration/guards/test_offsets.py"


@dataclass(frozen=True, slots=True)
class Cut:
    """In `file`, `old` (there exactly once) becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard, the cuts that take it out, and the one test that must then turn red."""

    name: str
    cuts: tuple[Cut, ...]
    test: str


_STORE = "shared/runtime/store/sql.py"
_COMMITTING = "shared/runtime/store/migrations/013_views.sql"
_RELAY = "shared/runtime/publishing/relay.py"
_CONSUMER = "shared/runtime/kafka/patches/faust_consumer.py"
_KEYRING = "shared/runtime/keys/keyring.py"
_SUPPLEMENTS = "services/intake/supplements.py"
_JOBS = "shared/runtime/tasks/jobs.py"
_KEYS_HEARD = "shared/runtime/keys/heard.py"

GUARDS = (
    Guard(
        "what was heard is checked",
        (Cut(_COMMITTING, "FILTER (WHERE l.position <> l.expected)", "FILTER (WHERE false)"),),
        f"{_COMMIT}::test_a_consumer_that_was_overtaken_is_fenced_and_stores_nothing",
    ),
    Guard(
        "the cursor moves after Kafka's word",
        (
            Cut(
                _RELAY,
                "            self._events.launch(shard, taken, sent)\n",
                "            self._events.launch(shard, taken, sent)\n            await self._move(taken)\n",
            ),
        ),
        f"{_ACKNOWLEDGING}::test_the_relay_moves_its_cursor_only_after_kafka_has_acknowledged",
    ),
    Guard(
        "a consumer acknowledges after the commit",
        (
            Cut(
                _CONSUMER,
                "            await self.deliver(fetched)\n",
                "            asyncio.ensure_future(self.deliver(fetched))\n",
            ),
        ),
        f"{_ACKNOWLEDGING}::test_a_consumer_acknowledges_to_kafka_only_what_is_committed",
    ),
    Guard(
        "a state is written over the version that was read",
        (
            Cut(
                _COMMITTING,
                "WHERE s.dossier_id = w.dossier_id AND s.version = w.version;",
                "WHERE s.dossier_id = w.dossier_id;",
            ),
        ),
        f"{_WRITERS}::test_two_who_have_read_the_same_state_do_not_overwrite_each_other",
    ),
    Guard(
        "positions come of a locked counter, not of a plain sequence",
        (
            Cut(
                "shared/runtime/store/migrations/001_event_store.sql",
                "INSERT INTO shards (shard) SELECT generate_series(0, 11);",
                "INSERT INTO shards (shard) SELECT generate_series(0, 11);\n"
                "CREATE SEQUENCE plain; GRANT USAGE ON SEQUENCE plain TO :service;",
            ),
            Cut(_COMMITTING, "s.next_position + row_number() OVER chain - 1 AS", "nextval('plain') AS"),
            Cut(_COMMITTING, "ORDER BY s.shard FOR UPDATE OF s) l", "ORDER BY s.shard) l"),
            Cut(_COMMITTING, "        WHERE s.shard = w.shard;\n", "        WHERE false;\n"),
        ),
        f"{_WRITERS}::test_what_commits_later_never_stands_before_what_a_relay_has_passed",
    ),
    Guard(
        "every personal field is encrypted",
        (
            Cut(
                "services/intake/api.py",
                'sealed = {name: seal(key, dossier, f"applicant.{name}", text) for name, text in clear.items()}',
                'sealed = {name: seal(key, dossier, f"applicant.{name}", text) for name, text in clear.items()}\n'
                '    coded = __import__("base64").urlsafe_b64encode(clear["phone"].encode().ljust(30)).decode()\n'
                '    sealed["phone"] = f"sealed.v1.{coded}"',
            ),
        ),
        f"{_INCOMING}::test_no_field_of_the_applicant_can_be_read_without_the_key",
    ),
    Guard(
        "an outcome counts only under a living claim",
        (
            Cut(_STORE, "WHERE t.id = c.id AND t.claim = c.claim LIMIT 1", "WHERE t.id = c.id LIMIT 1"),
            Cut(
                _COMMITTING,
                "((t.id, t.claim) IN (SELECT * FROM unnest(claim_task, claim_token))) IS TRUE",
                "true",
            ),
        ),
        f"{_COMMIT}::test_the_outcome_of_a_worker_that_has_lost_its_claim_is_dropped",
    ),
    Guard(
        "states of another shape are not written",
        (Cut(_COMMITTING, "FILTER (WHERE l.shape <> own_shape)", "FILTER (WHERE false)"),),
        "tests/integration/runtime/test_reshaping.py::test_a_process_of_the_other_shape_writes_nothing_more_and_says_why",
    ),
    Guard(
        "what cannot be written in another shape is let go",
        (Cut("shared/runtime/engine/listener.py", "moves_on=True", "moves_on=False"),),
        "tests/integration/runtime/test_reshaping.py"
        "::test_whoever_hears_in_the_other_shape_lets_go_and_the_next_one_begins_where_the_database_stands",
    ),
    Guard(
        "a new version of an event is written as the one before",
        (Cut("shared/events/catalogue.py", "return event if back is None else back(event)", "return event"),),
        "tests/contract/events/test_versions.py"
        "::test_the_old_version_is_written_and_all_who_read_it_have_the_newest_us_too",
    ),
    Guard(
        "an older release does not pass over a migration that does more than add",
        (Cut("deploy/postgres/migrations.py", "for name in unknown if not seen[name]]", "for name in ()]"),),
        "tests/integration/local/test_provisioning.py::test_code_older_than_the_database_is_refused",
    ),
    Guard(
        "by what a dossier is found goes with its data key",
        (Cut(_COMMITTING, "    WHEN (NEW.destroyed_at IS NOT NULL) EXECUTE", "    WHEN (false) EXECUTE"),),
        "tests/integration/runtime/test_finding.py::test_with_the_data_key_the_digests_are_gone_and_stay_so",
    ),
    Guard(
        "an event names the one before it",
        (
            Cut(
                "shared/runtime/kernel/hearing.py",
                'return "next" if envelope.previous == heard.last_event_id else Break.FORK',
                'return "next"',
            ),
        ),
        f"{_INCOMING}::test_an_event_that_names_another_previous_stops_its_shard",
    ),
    Guard(
        "what was already answered is not answered again",
        (
            Cut(
                "shared/runtime/kernel/work.py",
                "            return self._answer_again(item, message, state, heard)\n",
                "            pass\n",
            ),
        ),
        f"{_WRITERS}::test_a_message_whose_events_are_stored_is_not_answered_again",
    ),
    Guard(
        "a task whose outcome was said is not ordered again",
        (
            Cut(_COMMITTING, "WHERE (SELECT e.event_id FROM events e WHERE e.event_id = w.said) IS NULL", ""),
            Cut(_STORE, "WHERE (SELECT e.event_id FROM events e WHERE e.event_id = w.said) IS NULL", ""),
        ),
        "tests/integration/runtime/test_taking_back.py::test_a_task_whose_outcome_was_said_is_not_done_again",
    ),
    Guard(
        "a server's farewell is a lost connection",
        (
            Cut(
                "shared/runtime/store/lost.py",
                "    asyncpg.InternalClientError,  # a server's last word to an idle connection that is used before its"
                " socket closes\n",
                "",
            ),
        ),
        f"{_INCOMING}::test_a_connection_whose_server_has_said_farewell_is_a_lost_one",
    ),
    Guard(
        "a producer whose send has failed is not used again",
        (
            Cut(
                _RELAY,
                "            published = await self.publish(producer)\n",
                "            try:\n                published = await self.publish(producer)\n"
                "            except KafkaError:\n                published = 0\n",
            ),
        ),
        "tests/integration/guards/test_refused_sends.py"
        "::test_what_was_refused_is_on_the_topic_before_all_that_was_said_behind_it",
    ),
    Guard(
        "a shard that waits for Kafka waits alone",
        (Cut("shared/runtime/publishing/flights.py", "timeout=patience_s", "timeout=None"),),
        "tests/integration/runtime/test_relay.py::test_a_shard_about_which_kafka_is_silent_holds_up_no_other",
    ),
    Guard(
        "a service may write its own topic only",
        (
            Cut(
                "deploy/kafka/acls.py",
                "Operation.WRITE) for topic in own)",
                "Operation.WRITE) for topic in {*own, *heard})",
            ),
        ),
        "tests/secured/test_permissions.py::test_a_principal_may_do_what_it_must_and_no_more[verification]",
    ),
    Guard(
        "a role may enter its own database only",
        (Cut("deploy/postgres/connect.sql", "REVOKE ALL ON DATABASE :database FROM PUBLIC;", ""),),
        "tests/secured/test_databases.py"
        "::test_a_service_enters_its_own_database_and_no_other_and_no_other_enters_its_own[payment]",
    ),
    Guard(
        "the database's offset is sought, whatever Kafka holds",
        (Cut(_CONSUMER, "        await self.seek_wait(targets)\n", ""),),
        f"{_OFFSETS}::test_a_consumer_begins_where_the_database_says_whatever_kafka_holds[behind]",
    ),
    Guard(
        "what is acknowledged is committed before partitions are taken away",
        (Cut(_CONSUMER, "        await self.commit()\n        self._handled", "        self._handled"),),
        f"{_OFFSETS}::test_what_is_handled_is_acknowledged_before_another_member_takes_over",
    ),
    Guard(
        "a bug in the engine ends the process",
        (Cut(_CONSUMER, "            end_at_once(bug)\n", "            pass\n"),),
        "tests/integration/guards/test_engine_bug.py::test_a_bug_in_the_engine_ends_the_process_and_loses_nothing",
    ),
    Guard(
        "a destroyed key is destroyed for good",
        (Cut(_KEYS_HEARD, "data_keys.destroyed_at IS NULL AND (excluded.wrapped IS NULL", "(true"),),
        "tests/integration/guards/test_destroyed_keys.py"
        "::test_a_destroyed_key_stays_destroyed_when_its_old_record_is_heard_again",
    ),
    Guard(
        "a destroyed key is an outcome",
        (Cut(_KEYRING, "raise KeyDestroyed(", "raise KeyNotHere("),),
        "tests/integration/guards/test_destroyed_keys.py"
        "::test_a_destroyed_key_is_the_outcome_of_a_task_and_no_reason_to_try_again",
    ),
    Guard(
        "keys are published behind the reading of the events",
        (
            Cut(
                _RELAY,
                "        rows = await self._unpublished()\n        if self.owns_keys:\n"
                "            await self._publish_keys(producer)\n",
                "        if self.owns_keys:\n            await self._publish_keys(producer)\n"
                "        rows = await self._unpublished()\n",
            ),
        ),
        "tests/integration/runtime/test_relay.py"
        "::test_an_event_that_is_committed_while_keys_are_published_waits_for_its_own_key",
    ),
    Guard(
        "a job's run is ended by whoever holds it",
        (
            Cut(
                _JOBS,
                "WHERE id = $1 AND claim = $2 RETURNING id",
                "WHERE id = $1 AND $2::uuid IS NOT NULL RETURNING id",
            ),
        ),
        "tests/integration/runtime/test_jobs.py::test_a_run_that_was_taken_over_settles_nothing_while_the_next_one_runs",
    ),
    Guard(
        "a supplement lapses after its deadline only",
        (
            Cut(_SUPPLEMENTS, "    if alarm.at < wanted.respond_by:\n        return _again(LAPSE, alarm.body)\n", ""),
            Cut(
                _SUPPLEMENTS,
                "late_s = int((alarm.at - wanted.respond_by)",
                "late_s = int(abs(alarm.at - wanted.respond_by)",
            ),
        ),
        "tests/unit/intake/test_intake_deadlines.py"
        "::test_an_alarm_that_rings_too_early_says_nothing_and_is_set_again[deadline-1 s]",
    ),
    Guard(
        "an alarm rings by the machine's clock too",
        (Cut("services/intake/tasks.py", "    if early_s > 0:\n", "    if False:\n"),),
        "tests/unit/intake/test_intake_deadlines.py"
        "::test_a_machine_whose_clock_is_behind_the_databases_waits_for_its_own[1 s]",
    ),
    Guard(
        "what a broker hands out is read as the broker reads it",
        (Cut("shared/runtime/kafka/patches/record_sets.py", "    fetcher.MemoryRecords = _Fetched\n", ""),),
        "tests/unit/runtime/test_fetched.py"
        "::test_a_record_of_strange_bytes_is_read_as_the_broker_reads_it[an offset far behind]",
    ),
    Guard(
        "who may do an act, and when, is looked at before its rule",
        (Cut("services/intake/rules.py", "        check(act, state, asked.body.by, acts)\n", ""),),
        "tests/unit/intake/test_intake_acts.py"
        "::test_an_act_is_refused_or_possible_as_its_row_says_whoever_asks_in_every_status[refuse]",
    ),
)
