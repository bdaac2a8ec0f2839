"""The engine on PostgreSQL against a small model, whatever happens in whatever order."""

import asyncio
from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from deploy.postgres.provision import Databases
from tests.integration.runtime.machine import EngineMachine
from tests.integration.runtime.stage import Stage, staged


@pytest.mark.usefixtures("quiet")
def test_whatever_happens_nothing_is_lost_doubled_or_out_of_order(module_databases: Databases) -> None:
    with asyncio.Runner() as runner:
        context = staged(module_databases)
        stage: Stage = runner.run(context.__aenter__())
        try:
            run_state_machine_as_test(
                cast("type[EngineMachine]", partial(EngineMachine, runner, stage)),  # called like the class
                settings=settings(
                    max_examples=30,
                    stateful_step_count=20,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    print_blob=True,
                ),
            )
        finally:
            runner.run(context.__aexit__(None, None, None))
