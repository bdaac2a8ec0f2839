"""What the bank remembers: the orders it has seen, each charged once at most, and the callbacks it owes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.simulators.journal import Journal, read_lines

PAID = "00"
FIRST_TRANSACTION = 14_000_001


@dataclass(slots=True)
class Order:
    """One reference of the merchant. `params` are those of its signed address; `result` those of its last attempt."""

    params: dict[str, str]
    result: dict[str, str] = field(default_factory=dict)

    @property
    def paid(self) -> bool:
        return self.result.get("vnp_ResponseCode") == PAID

    @property
    def status(self) -> str:
        return self.result.get("vnp_TransactionStatus", "01")


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback: its parameters before signing; `forged`: signed with another secret; `once`: any answer ends it."""

    params: Mapping[str, str]
    forged: bool = False
    once: bool = False


@dataclass(slots=True)
class Batch:
    """Callbacks that go one after the other; `done` of them are settled. Batches go side by side."""

    id: int
    callbacks: tuple[Callback, ...]
    done: int = 0


class Ledger:
    """Orders and owed callbacks in a journal: one line per change, so no kill parts a charge from its callback."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.orders: dict[str, Order] = {}
        self.owed: dict[int, Batch] = {}
        self.asked: set[str] = set()
        self._attempts = 0
        self._batches = 0
        for line in read_lines(journal.path):
            self._apply(line)

    def open(self, params: Mapping[str, str]) -> Order:
        """The order of a signed address; the first one shown of an unpaid reference stands until another is shown."""
        known = self.orders.get(params["vnp_TxnRef"])
        if known is None or (not known.result and known.params != params):
            self._keep({"change": "opened", "params": dict(params)})
        return self.orders[params["vnp_TxnRef"]]

    def next_transaction(self) -> str:
        return str(FIRST_TRANSACTION + self._attempts)

    def attempt(self, params: Mapping[str, str], result: Mapping[str, str], owed: list[list[Callback]]) -> list[Batch]:
        """Books an attempt to pay and the callbacks that follow from it, in one line. Gives the new batches.

        Raises ValueError if the reference is paid already: nobody is charged twice.
        """
        known = self.orders.get(params["vnp_TxnRef"])
        if known is not None and known.paid:
            raise ValueError("already paid")
        batches: list[dict[str, Any]] = [
            {"id": self._batches + number, "callbacks": [_as_line(callback) for callback in callbacks]}
            for number, callbacks in enumerate(owed, start=1)
        ]
        self._keep({"change": "attempt", "params": dict(params), "result": dict(result), "owed": batches})
        return [self.owed[batch["id"]] for batch in batches]

    def settle(self, batch: Batch) -> None:
        """The callback whose turn it was needs no further sending."""
        self._keep({"change": "settled", "batch": batch.id})

    def ask(self, request_id: str) -> bool:
        """Notes a request of the merchant API; false if this id was used before."""
        if request_id in self.asked:
            return False
        self._keep({"change": "asked", "request_id": request_id})
        return True

    def _keep(self, line: dict[str, Any]) -> None:
        self._journal.append(line)
        self._apply(line)

    def _apply(self, line: Mapping[str, Any]) -> None:
        match line["change"]:
            case "opened":
                self.orders[line["params"]["vnp_TxnRef"]] = Order(line["params"])
            case "attempt":
                self.orders[line["params"]["vnp_TxnRef"]] = Order(line["params"], line["result"])
                self._attempts += 1
                for batch in line["owed"]:
                    self._owe(batch)
            case "settled":
                self._settled(line["batch"])
            case "asked":
                self.asked.add(line["request_id"])

    def _owe(self, line: Mapping[str, Any]) -> None:
        self._batches = line["id"]
        self.owed[line["id"]] = Batch(line["id"], tuple(Callback(**callback) for callback in line["callbacks"]))

    def _settled(self, number: int) -> None:
        batch = self.owed[number]
        batch.done += 1
        if batch.done == len(batch.callbacks):
            del self.owed[number]


def _as_line(callback: Callback) -> dict[str, Any]:
    return {"params": dict(callback.params), "forged": callback.forged, "once": callback.once}
