"""The platform at work, for what a real Prometheus shows of it."""

from tests.e2e.proofs.conftest import play

__all__ = ["play"]
