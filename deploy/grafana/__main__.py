"""`python -m deploy.grafana` writes the dashboards' JSON anew."""

import json
from collections.abc import Mapping
from pathlib import Path

from deploy.grafana.panels import rendered
from deploy.grafana.table import DASHBOARDS

FOLDER = Path(__file__).parent / "dashboards"


def files() -> Mapping[str, str]:
    """Name → content of every file in `dashboards`."""
    return {
        f"{dashboard.uid}.json": json.dumps(rendered(dashboard), ensure_ascii=False, indent=1) + "\n"
        for dashboard in DASHBOARDS
    }


def main() -> None:
    """Write all, and remove what the table has no more."""
    FOLDER.mkdir(exist_ok=True)
    made = files()
    for old in FOLDER.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, content in made.items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
