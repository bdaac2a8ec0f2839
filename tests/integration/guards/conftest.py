"""The toy service of the runtime tests, here on a database of each module's own."""

from tests.integration.runtime.conftest import module_databases, stage

__all__ = ["module_databases", "stage"]
