"""Where the sensor that follows runs goes on from."""

import time

import dagster as dg

from sensors.after_runs import Followed, _ended


def test_a_clock_that_is_set_back_hides_no_run() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        followed = Followed(until=time.time() + 365 * 86_400)
        begun = time.time()
        run = dg.DagsterRun(job_name="files", status=dg.DagsterRunStatus.SUCCESS)
        instance.add_run(run)
        assert [one.run_id for one in _ended(instance, {"files"}, followed)] == [run.run_id]
        assert begun - 1 <= followed.until <= time.time()
        assert _ended(instance, {"files"}, followed) == []
