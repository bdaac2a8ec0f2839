"""What every floor may ask for. Imported once, here: a fixture imported by two folders would start two grounds."""

from hypothesis import settings

from tests.ground import fresh_databases, ground

__all__ = ["fresh_databases", "ground"]

# The same examples each time, no deadlines: what a floor says is not luck. `--hypothesis-profile=default` seeks anew.
settings.load_profile("ci")
