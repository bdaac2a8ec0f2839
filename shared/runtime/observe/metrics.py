"""The metrics that every service exports; names and labels are a contract with those who watch them.

Labels only from LABELS: all bounded (a unit is one of the catalogue's), none of them personal. Times are exported as
timestamps, so that an age is right at the moment of the query.
"""

from collections.abc import Callable
from typing import Generic, TypeVar, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from shared.events.catalogue import SAID_BY

M = TypeVar("M", bound=Counter | Gauge | Histogram)

LABELS = frozenset(
    {"service", "topic", "event_type", "outcome", "dependency", "reason", "task", "stage", "route", "method", "status",
     "unit"}
)  # fmt: skip
HANDLED = ("ok", "duplicate", "skipped", "dead_lettered", "parked")
"""What may become of a message that is heard."""

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds; the buckets that OpenTelemetry advises for messaging."""


class _Row(Generic[M]):
    """One row of the table below; on a `Metrics` it is that process's collector."""

    def __init__(self, make: Callable[[CollectorRegistry], M]) -> None:
        self.make = make

    def __set_name__(self, owner: type["Metrics"], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, metrics: None, owner: type["Metrics"]) -> "_Row[M]": ...
    @overload
    def __get__(self, metrics: "Metrics", owner: type["Metrics"]) -> M: ...
    def __get__(self, metrics: "Metrics | None", owner: type["Metrics"]) -> "_Row[M] | M":
        if metrics is None:
            return self
        made: M = metrics.collectors[self.name]
        return made


def _counter(name: str, text: str, *labels: str) -> _Row[Counter]:
    return _Row(lambda registry: Counter(f"dossier_{name}", text, labels, registry=registry))


def _gauge(name: str, text: str, *labels: str) -> _Row[Gauge]:
    return _Row(lambda registry: Gauge(f"dossier_{name}", text, labels, registry=registry))


def _histogram(name: str, text: str, *labels: str) -> _Row[Histogram]:
    return _Row(lambda registry: Histogram(f"dossier_{name}", text, labels, registry=registry, buckets=LATENCIES))


class Metrics:
    """All collectors of one process in a registry of its own."""

    http_requests = _counter("http_requests", "HTTP answers", "route", "method", "status")
    http_seconds = _histogram("http_request_duration_seconds", "HTTP time to answer", "route")
    recorded = _counter("events_recorded", "Events appended to the store", "event_type")
    published = _counter("events_published", "Events acknowledged by Kafka")
    handled = _counter("messages_handled", "Messages by what became of them", "outcome")
    batch_seconds = _histogram("batch_duration_seconds", "Time of one engine batch", "stage")
    end_to_end = _histogram("event_end_to_end_seconds", "From the record's time to handled", "stage")
    lag = _gauge("consumer_lag_records", "Records not handled yet, whichever process is to", "topic")
    unowned = _gauge("consumer_unowned_partitions", "Partitions that no process hears; alert above 0", "topic")
    oldest_unhandled = _gauge(
        "consumer_oldest_unhandled_timestamp_seconds", "Time of the oldest record in hand, 0 when level"
    )
    last_success = _gauge("consumer_last_success_timestamp_seconds", "Last batch acknowledged")
    outbox_pending = _gauge("outbox_pending_events", "Events stored but not acknowledged by Kafka")
    outbox_oldest = _gauge("outbox_oldest_timestamp_seconds", "Oldest of these, 0 when none")
    tasks_pending = _gauge("tasks_pending", "Tasks in the queue", "task")
    tasks_oldest = _gauge("tasks_oldest_timestamp_seconds", "Oldest due task, 0 when none", "task")
    task_attempts = _counter("task_attempts", "Attempts by how they ended", "task", "outcome")
    job_due = _gauge("job_due_timestamp_seconds", "The time that a job's run, or its next one, is for", "task")
    job_success = _gauge("job_last_success_timestamp_seconds", "When a job's run last ended well, 0 when never", "task")
    job_failures = _gauge("job_failures", "A job's failures since then", "task")
    job_patience = _gauge("job_patience_seconds", "How late a job's run may end before it is an alert", "task")
    keys_late = _gauge("keys_late", "Tasks that wait for a data key longer than two minutes; alert above 0", "task")
    keys_refused = _counter("keys_refused", "Data keys that were heard and not kept, by why; alert above 0", "reason")
    dead_letters = _gauge("dead_letters_open", "Dead letters that wait for an operator")
    parked = _gauge("parked_dossiers", "Dossiers that wait behind a dead letter")
    other_shapes = _gauge("shards_of_another_shape", "Shards whose states have the shape of another release")
    gaps = _gauge("sequence_gaps", "Writers' shards that stopped at a gap or fork")
    behind = _gauge("store_behind_events", "Own events on the topic that the store lacks, 0 when whole")
    taken_back = _counter("events_taken_back", "Own events taken back from the topic after a restore")
    conflicts = _counter("conflicts", "Commits decided again because another writer was first")
    bank_reports = _counter("bank_reports", "The bank's callbacks by the RspCode that they were answered", "outcome")
    bank_reports_refused = _counter(
        "bank_reports_refused", "Signed or unsigned callbacks of the bank that were refused; see the log", "reason"
    )
    task_dependency = _gauge("task_dependency", "1, with the outside system that a task needs", "task", "dependency")
    mails = _counter("mails", "Mails by what an attempt came to, and by class of the answer", "outcome", "reason")
    circuit = _gauge("circuit_state", "0 closed, 1 half-open, 2 open", "dependency")
    dossiers = _gauge("dossiers", "Dossiers by status", "status")
    acceptance_overdue = _gauge("acceptance_overdue", "Dossiers whose acceptance limit passed unanswered")
    unreached = _gauge(
        "applicants_unreached", "Dossiers whose applicant must be told by telephone, post or at the counter"
    )
    results_overdue = _gauge(
        "results_overdue", "Dossiers in process whose result is past due, if there are any", "unit"
    )
    unpaid = _gauge("unpaid_dossiers", "Dossiers whose fee is asked for and unpaid")
    unpaid_oldest = _gauge("unpaid_oldest_timestamp_seconds", "When the first of them was asked to pay, 0 when none")
    records_stored = _counter("audit_records_stored", "Records stored by audit")
    discrepancies = _gauge("audit_discrepancies", "Discrepancies found so far")
    discrepancies_open = _gauge("audit_discrepancies_open", "Those of them that no operator has settled")
    loop_delay = _gauge("event_loop_delay_seconds", "How late the event loop woke, last check")
    register_faults = _counter(
        "register_faults", "Look-ups that the register did not answer so that anybody could use it", "reason"
    )
    pool_waiting = _gauge("db_pool_waiting", "Tasks that wait for a database connection")
    database_bytes = _gauge("database_bytes", "Size of the service's database on disk")
    started = _gauge("start_timestamp_seconds", "When this process began")
    backup = _gauge("backup_timestamp_seconds", "When the database was last backed up, 0 when never")
    build = _gauge("build_info", "1, with the service's name", "service")

    def __init__(self, service: str) -> None:
        # The library's `_created` series would double the number of series and are no part of our contract.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        rows = [row for row in vars(type(self)).values() if isinstance(row, _Row)]
        self.collectors = {row.name: row.make(self.registry) for row in rows}
        self.build.labels(service).set(1)
        self.started.set_to_current_time()
        # What begins with its first count has risen by nothing for whoever looks at how much it rises.
        for event in SAID_BY.get(service, ()):
            self.recorded.labels(event.TYPE)
        for outcome in HANDLED:
            self.handled.labels(outcome)
