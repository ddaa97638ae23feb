"""The champion's traffic as a Prefect task of a night: what the service kept, against what the champion had learned."""

from datetime import datetime
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipeline.core.params import Params
from pipeline.policies.monitoring.finding import TrafficLook
from tasks.monitor import look_at_traffic
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry.nights import Champion
from tasks.registry.version_bundle import find_bundle
from tasks.traffic_reference import MonitoredVersion


@task(name="traffic", task_run_name="traffic", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def look_at_champion(root: Path, params: Params, champion: Champion, now: datetime) -> TrafficLook | None:
    """The look at the champion's traffic; None if it is not asked for, or if none was kept."""
    path = params.monitor.path
    if not params.retrain.on_traffic or path is None or not (root / path).is_dir():
        return None
    bundle = find_bundle(root, params.registry.model, champion.number)
    if bundle is None:
        return None
    version = MonitoredVersion.of(bundle)
    look = look_at_traffic(root, params, version, now)
    if not look.rows:
        return None
    for finding in look.findings:
        get_run_logger().info(f"traffic: {finding.title}: {finding.status}: {finding.sentence}")
    return look
