"""`python -m deploy.compose.outside register|bank|smtp`: one simulator of the outside as a container.

STATE is its volume. The register knows the people of the first ROUNDS loads of COUNT applications, which
`deploy.compose.client` plays.
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo.data import generate, write_lines
from deploy.watcher.settings import MADE_UP

PORT, CONTROL_PORT = 8080, 8081
SECRETS = Path("/run/secrets")
ROUNDS = 20


def arguments(name: str, state: Path, secrets: Path) -> list[str]:
    """What the simulator is started with."""
    places = ["--host", "0.0.0.0", "--port", str(PORT), "--control-port", str(CONTROL_PORT)]  # noqa: S104 - in a container
    common = [*places, "--history", str(state / "history.jsonl")]
    own = {
        "register": [
            *("--register", str(state / "register.jsonl"), "--state", str(state / "entered.jsonl")),
            *("--secret-file", str(secrets / "register_credentials")),
        ],
        "bank": [
            *("--state", str(state / "state.jsonl"), "--secret-file", str(secrets / "vnpay_secret")),
            *("--ipn-url", os.environ.get("IPN_URL", "")),
        ],
        "smtp": ["--mail-dir", str(state / "mail")],
    }
    return [*common, *own[name]]


def people(count: int) -> list[dict[str, object]]:
    """The lines of the register's file."""
    rounds = range(1, ROUNDS + 1)
    made_up = [person for seed in rounds for person in generate(count, datetime.now(UTC), seed).register]
    watched = json.loads(MADE_UP.read_text())
    shown = {name: watched[name] for name in ("id_number", "full_name", "date_of_birth")}
    return [*made_up, {**shown, "gender": "male"}]


def main() -> None:
    """Become the simulator that is named."""
    name, state = sys.argv[1], Path(os.environ["STATE"])
    if name == "register":
        write_lines(state / "register.jsonl", people(int(os.environ["COUNT"])))
    started = arguments(name, state, SECRETS)
    os.execv(sys.executable, [sys.executable, "-m", f"deploy.simulators.{name}", *started])  # noqa: S606 - ours


if __name__ == "__main__":
    main()
