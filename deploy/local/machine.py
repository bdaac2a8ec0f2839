"""What this machine has: places of the project, Java. Standard library only, so that `doctor` runs before `setup`."""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
LIBS = LOCAL / "kafka" / "libs"
KAFKA_VERSION = "4.3.1"
JAR = f"kafka_2.13-{KAFKA_VERSION}.jar"


def java() -> str:
    """The Java program: of JAVA_HOME if that is set, else the one on the path (whether it is there or not)."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else shutil.which("java") or "java"


def java_version() -> int | None:
    """Java's major version, such as 17; None if there is no Java."""
    try:
        told = subprocess.run([java(), "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except OSError:
        return None
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found[1]) if found else None
