"""The five dashboards, as one table. `python -m deploy.grafana` writes their JSON."""

from collections.abc import Sequence

from deploy.grafana.panels import Dashboard, Panel, Query

_ASKED = 'dossier_http_requests_total{route!~"/(livez|readyz|metrics)"%s}'
_ALL, _FAILED = _ASKED % "", _ASKED % ',status=~"5.."'


def _age(timestamp: str, by: str) -> str:
    """How old a moment is, 0 where there is none."""
    return f"max by ({by}) ((time() - {timestamp}) * ({timestamp} > bool 0))"


def _events(change: str, service: str = "") -> Query:
    """Events by kind, under the short name of each."""
    of = f'{{service="{service}"}}' if service else ""
    counted = f"sum by (event_type) ({change.replace('EVENTS', 'dossier_events_recorded_total' + of)})"
    return Query(f'label_replace({counted}, "event", "$1", "event_type", "vn.gov.dossier.(.*)")', "{{event}}")


def _p99(histogram: str, by: str) -> str:
    return f"histogram_quantile(0.99, sum by ({by}, le) (rate({histogram}_bucket[5m])))"


WAY = Dashboard("dossier-way", "A dossier's way", (
    Panel("Dossiers by status", "How many stand in each status of the national portal, 1 to 10.", "short",
          [Query("max by (status) (dossier_dossiers)", "status {{status}}")]),
    Panel("What is said", "Events a second by kind, of all services.", "reqps",
          [_events("rate(EVENTS[5m])")]),
    Panel("HTTP requests", "Answers a second by service and status, without probes.", "reqps",
          [Query(f"sum by (service, status) (rate({_ALL}[5m]))", "{{service}} {{status}}")]),
    Panel("Server errors", "The share of answers that were 500 or above.", "percentunit",
          [Query(f"(sum(rate({_FAILED}[5m])) or vector(0)) / sum(rate({_ALL}[5m]))", "5xx")],
          red=0.05, alert="DossierHttpErrors"),
    Panel("Time to answer, p99", "One request in a hundred takes longer.", "s",
          [Query(_p99("dossier_http_request_duration_seconds", "service"), "{{service}}")], red=1),
    Panel("From said to heard, p99", "From a record's time to its effect in each service.", "s",
          [Query(_p99("dossier_event_end_to_end_seconds", "service"), "{{service}}")], red=5,
          alert="DossierConsumerBehind"),
    Panel("Acceptance overdue", "Dossiers whose limit of eight working hours passed unanswered.", "short",
          [Query("max(dossier_acceptance_overdue)", "overdue")], red=1, alert="DossierAcceptanceOverdue", kind="stat"),
    Panel("Dead letters", "What could not be handled and waits for an operator.", "short",
          [Query("max by (service) (dossier_dead_letters_open)", "{{service}}")], red=1, alert="DossierDeadLetters",
          kind="stat"),
    Panel("Parked dossiers", "Dossiers that wait behind a dead letter.", "short",
          [Query("max by (service) (dossier_parked_dossiers)", "{{service}}")], red=1, alert="DossierParked",
          kind="stat"),
))  # fmt: skip

DEPENDENCIES = Dashboard("dossier-dependencies", "Each dependency", (
    Panel("Circuits", "Each process's breaker of an outside system: 0 closed, 1 half-open, 2 open.", "short",
          [Query("max by (dependency) (dossier_circuit_state)", "{{dependency}}")], red=2, alert="DossierCircuitOpen"),
    Panel("Attempts", "Tasks a second by how they ended.", "reqps",
          [Query("sum by (task, outcome) (rate(dossier_task_attempts_total[5m]))", "{{task}} {{outcome}}")]),
    Panel("Tasks in the queue", "What is to be done outside, due or not yet.", "short",
          [Query("max by (task) (dossier_tasks_pending)", "{{task}}")]),
    Panel("Oldest task that is due", "How long it has been waiting.", "s",
          [Query(_age("dossier_tasks_oldest_timestamp_seconds", "task"), "{{task}}")], red=600,
          alert="DossierTaskBacklog"),
    Panel("Jobs that are late", "How long the time of a run has passed; below 0: until its next time.", "s",
          [Query("time() - max by (service, task) (dossier_job_due_timestamp_seconds)", "{{service}} {{task}}")],
          alert="DossierJobLate"),
    Panel("Jobs that failed", "Failures since the last run that ended well.", "short",
          [Query("max by (service, task) (dossier_job_failures)", "{{service}} {{task}}")], red=3,
          alert="DossierJobFailing"),
    Panel("The register's faults", "Look-ups in an hour that it did not answer so that it helped, by why.", "short",
          [Query("sum by (reason) (increase(dossier_register_faults_total[1h]))", "{{reason}}")],
          alert="DossierTaskBacklog"),
    Panel("Certificates", "How long they are good, the first of them; nothing without TLS.", "s",
          [Query("min by (dependency) (dossier_certificate_not_after_timestamp_seconds - time())", "{{dependency}}")],
          alert="DossierCertificateExpires"),
    Panel("What the bank was answered", "Its reports of payments in an hour, by RspCode.", "short",
          [Query("sum by (outcome) (increase(dossier_bank_reports_total[1h]))", "{{outcome}}")],
          alert="DossierBankNotTold"),
    Panel("The bank's reports refused", "Reports of payments that did not fit, by why, in an hour.", "short",
          [Query("sum by (reason) (increase(dossier_bank_reports_refused_total[1h]))", "{{reason}}")]),
    Panel("Tasks that wait for a data key", "For more than two minutes.", "short",
          [Query("max by (task) (dossier_keys_late)", "{{task}}")], red=1, alert="DossierKeysLate"),
    Panel("Data keys that were not kept", "Since the processes began, by why.", "short",
          [Query("sum by (service, reason) (dossier_keys_refused_total)", "{{service}} {{reason}}")], red=1,
          alert="DossierKeyRefused"),
))  # fmt: skip

STORES = Dashboard("dossier-stores", "Kafka and PostgreSQL", (
    Panel("Not handled yet", "Records that each service has not handled, by topic.", "short",
          [Query("sum by (service, topic) (dossier_consumer_lag_records)", "{{service}} {{topic}}")],
          alert="DossierConsumerStalled"),
    Panel("Partitions that nobody hears", "Of the topics that each service should hear.", "short",
          [Query("max by (service, topic) (dossier_consumer_unowned_partitions)", "{{service}} {{topic}}")], red=1,
          alert="DossierTopicUnheard", kind="stat"),
    Panel("Oldest record in hand", "How old it is.", "s",
          [Query(_age("dossier_consumer_oldest_unhandled_timestamp_seconds", "service"), "{{service}}")], red=120,
          alert="DossierConsumerBehind"),
    Panel("Since the last batch", "A service that hears something commits one.", "s",
          [Query(_age("dossier_consumer_last_success_timestamp_seconds", "service"), "{{service}}")]),
    Panel("Not published yet", "Events stored that Kafka has not acknowledged.", "short",
          [Query("max by (service) (dossier_outbox_pending_events)", "{{service}}")], alert="DossierOutboxGrowing"),
    Panel("Oldest event not published", "How old it is.", "s",
          [Query(_age("dossier_outbox_oldest_timestamp_seconds", "service"), "{{service}}")], red=60,
          alert="DossierOutboxGrowing"),
    Panel("Published", "Events a second that Kafka acknowledged.", "reqps",
          [Query("sum by (service) (rate(dossier_events_published_total[5m]))", "{{service}}")]),
    Panel("Time of a batch, p99", "One in a hundred takes longer.", "s",
          [Query(_p99("dossier_batch_duration_seconds", "service"), "{{service}}")], red=1),
    Panel("Records heard", "A second, by what became of them.", "reqps",
          [Query("sum by (service, outcome) (rate(dossier_messages_handled_total[5m]))", "{{service}} {{outcome}}")],
          alert="DossierEventErrorBudgetBurnFast"),
    Panel("Commits decided again", "A second, because another writer was first.", "reqps",
          [Query("sum by (service) (rate(dossier_conflicts_total[5m]))", "{{service}}")]),
    Panel("Waiting for a connection", "Tasks that wait for one of the pool's.", "short",
          [Query("max by (service) (dossier_db_pool_waiting)", "{{service}}")]),
    Panel("Databases", "Size on disk, and what they may take, where that is said.", "bytes",
          [Query("max by (service) (dossier_database_bytes)", "{{service}}"),
           Query("max(dossier_database_disk_bytes)", "may take")], alert="DossierDatabaseDiskForecast"),
    Panel("Since the last backup", "Of each database; since 1970 if there was none.", "s",
          [Query("time() - max by (service) (dossier_backup_timestamp_seconds)", "{{service}}")], red=26 * 3600,
          alert="DossierBackupOld"),
    Panel("Topics", "On the brokers' disks, every copy counted.", "bytes",
          [Query("max by (topic) (dossier_kafka_topic_bytes)", "{{topic}}")], alert="DossierKafkaDiskForecast"),
    Panel("Free on the fullest broker", "What is left on its disk.", "bytes",
          [Query("min(dossier_kafka_disk_usable_bytes)", "free")], alert="DossierKafkaDiskForecast"),
    Panel("Disks last seen", "How long ago the brokers said how full they are.", "s",
          [Query("max(time() - dossier_kafka_disk_seen_timestamp_seconds)", "ago")], red=600,
          alert="DossierDisksUnseen"),
    Panel("Stopped shards", "Writers' shards that stopped at a gap or fork.", "short",
          [Query("max by (service) (dossier_sequence_gaps)", "{{service}}")], red=1, alert="DossierSequenceGap",
          kind="stat"),
    Panel("Behind its own topic", "Own events that a restored store lacks, and those taken back in an hour.", "short",
          [Query("max by (service) (dossier_store_behind_events)", "{{service}} lacks"),
           Query("sum by (service) (increase(dossier_events_taken_back_total[1h]))", "{{service}} took back")],
          red=1, alert="DossierStoreBehind"),
    Panel("Event loop", "How late it woke.", "s",
          [Query("max by (service) (dossier_event_loop_delay_seconds)", "{{service}}")], red=0.5,
          alert="DossierEventLoopBlocked"),
))  # fmt: skip

PEOPLE = Dashboard("dossier-people", "People", (
    Panel("Acceptance overdue", "Dossiers whose limit of eight working hours passed unanswered.", "short",
          [Query("max(dossier_acceptance_overdue)", "overdue")], red=1, alert="DossierAcceptanceOverdue"),
    Panel("Results past due", "Accepted dossiers whose result is past due, of each unit that has any.", "short",
          [Query("max by (unit) (dossier_results_overdue) or vector(0)", "{{unit}}")], red=1,
          alert="DossierResultsOverdue"),
    Panel("Unpaid", "Dossiers whose fee is asked for and unpaid.", "short",
          [Query("max(dossier_unpaid_dossiers)", "unpaid")], alert="DossierUnpaid"),
    Panel("Unpaid for how long", "Since the first of these was asked to pay.", "s",
          [Query(_age("dossier_unpaid_oldest_timestamp_seconds", "service"), "{{service}}")], alert="DossierUnpaid"),
    Panel("Applicants not reached", "Dossiers whose applicant must be told by telephone, post or at the counter.",
          "short",
          [Query("max(dossier_applicants_unreached)", "not reached")], red=1, alert="DossierNoticesUndeliverable"),
    Panel("Applications and results", "In an hour: filed, accepted, refused, results issued and returned.", "short",
          [_events("increase(EVENTS[1h])", "intake")]),
    Panel("Mails", "Attempts in an hour, by what they came to and by class of the answer.", "short",
          [Query("sum by (outcome, reason) (increase(dossier_mails_total[1h]))", "{{outcome}} {{reason}}")],
          alert="DossierNoticesUndeliverable"),
    Panel("Notices", "In an hour: sent, and those that could not be delivered.", "short",
          [_events("increase(EVENTS[1h])", "notification")]),
    Panel("Fees", "In an hour: assessed, asked for, paid, failed, waived, paid twice.", "short",
          [_events("increase(EVENTS[1h])", "payment")]),
    Panel("Identities", "In an hour: known, different, not found, delayed.", "short",
          [_events("increase(EVENTS[1h])", "verification")]),
))  # fmt: skip

WATCHER = Dashboard("dossier-watcher", "The watcher", (
    Panel("Since the last synthetic dossier", "Since one went the whole way, its notices too.", "s",
          [Query("max(dossier_synthetic_age_seconds)", "age")], red=300, alert="SyntheticDossierLate"),
    Panel("Its way", "From filing to the last notice.", "s",
          [Query("max(dossier_synthetic_duration_seconds)", "took")]),
    Panel("Synthetic dossiers", "In an hour, by how they ended and where.", "short",
          [Query("sum by (outcome, stage) (increase(dossier_synthetic_dossiers_total[1h]))", "{{outcome}} {{stage}}")],
          alert="SyntheticDossierLate"),
    Panel("Processes", "1 where Prometheus is answered.", "short",
          [Query('min by (service) (up{job="dossier"})', "{{service}}")], alert="DossierServiceDown"),
    Panel("Builds", "Processes by service.", "short",
          [Query("count by (service) (dossier_build_info)", "{{service}}")], alert="DossierServiceGone"),
    Panel("Since the start", "How long the youngest process of each service has been running.", "s",
          [Query("min by (service) (time() - dossier_start_timestamp_seconds)", "{{service}}")],
          alert="DossierRestartLoop"),
    Panel("Discrepancies", "What audit found that tells no unbroken story, and what nobody has settled.", "short",
          [Query("max(dossier_audit_discrepancies)", "found"),
           Query("max(dossier_audit_discrepancies_open)", "not settled")], red=1, alert="DossierAuditDiscrepancy"),
    Panel("Records stored", "A second, by audit.", "reqps",
          [Query('sum(rate(dossier_audit_records_stored_total{service="audit"}[5m]))', "stored")]),
))  # fmt: skip

DASHBOARDS: Sequence[Dashboard] = (WAY, DEPENDENCIES, STORES, PEOPLE, WATCHER)
