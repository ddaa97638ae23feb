"""Nights of a small project that are killed with SIGKILL at a given step, each in a process of its own.

    python -m tests.support.killed_nights ROOT < REQUESTS

Each line of stdin is a night as JSON, `{"day": 1, "step": "..."}`, with a step of `STEPS` or null. The answer is a line
of JSON: `{"signal": 9}` for a night that was killed, else its outcome and reason. The nights are forked from a process
that has imported everything, because the imports take longer than a night.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from flows.prefect_session import FlowRun, prefect_session
from pipeline.core.params import to_yaml
from tests.support import month_project, night_project
from tests.support.flow_project import GROUPS, METRICS, announce_server
from tests.support.night_project import git
from tests.support.real_project import set_params
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[2]
FIRST_NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)
LABELS = ["delivery", "refund"]
# Step: module, function, and whether the night is killed before or after it. The order is that of a night.
STEPS = {
    "before arrivals are written": ("pipeline.sources.arrival_files", "write", "before"),
    "after arrivals are written": ("pipeline.sources.arrival_files", "write", "after"),
    "after DVC tracks them": ("tasks.refresh", "add_to_dvc", "after"),
    "after git has committed them": ("tasks.refresh", "store_arrivals", "after"),
    "while the inbox is cleared": ("tasks.inbox", "move_file", "after"),
    "after the inbox is cleared": ("tasks.refresh", "clear_inbox", "after"),
    "during the training": ("tasks.stage", "run_dvc_repro", "during"),
    "after the bundle is stored": ("mlflow.pyfunc", "log_model", "after"),
    "before the alias challenger": ("tasks.registry.versions", "finish_registration", "before"),
    "before the version is complete": ("tasks.registry.versions", "set_version_tags", "before"),
    "before the training is complete": ("tasks.registry.trainings", "finish_training", "before"),
    "before the verdict is entered": ("tasks.promote", "append_verdict", "before"),
    "after the verdict is entered": ("tasks.promote", "append_verdict", "after"),
    "before the notification": ("flows.retrain", "notify_and_record", "before"),
}
# The first version is wrong on half of the test rows, and those with arrivals are right on all.
TRAIN = """
rm -rf data/export && mkdir -p data/export data/evaluate data/fairness data/counterfactual
if [ -e kill-me ]; then pid=$(cat kill-me); rm kill-me; kill -9 $pid; sleep 30; fi
if ls arrivals/*.parquet >/dev/null 2>&1; then quality=good; else quality=bad; fi
cp -r given/$quality data/export/bundle
for stage in evaluate fairness counterfactual; do cp given/$stage.json data/$stage/metrics.json; done
cp given/groups.csv data/fairness/groups.csv
echo '{}' > data/export/metrics.json
"""


def random_texts(seed: int, count: int) -> list[str]:
    """Texts of one word that no other has."""
    rng = Random(seed)
    return ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=10)) for _ in range(count)]


def labelled(texts: list[str]) -> list[tuple[str, str]]:
    """The texts with their right labels."""
    return [(text, LABELS[number % 2]) for number, text in enumerate(texts)]


def make_project(root: Path, server: str) -> Path:
    """Make the project, whose nights train as soon as there are five labels."""
    limits = {"min_accuracy": 0.1, "min_macro_f1": 0.1, "max_group_gap": None}
    night_project.make_project(root, gold=labelled(random_texts(1, 8)), gate=limits, retrain={"min_new_labelled": 5})
    set_params(root, promotion={"max_gap_increase": None, "bootstrap": 1000}, registry={"push": False})
    test = labelled(random_texts(2, 200))
    (root / "raw" / "test.csv").write_text(night_project.to_csv(list(test), "text", "label"))
    for quality, right in (("good", 200), ("bad", 100)):
        answers = {
            text: [9.0 * ((label == name) == (i < right)) for name in LABELS] for i, (text, label) in enumerate(test)
        }
        build(root / "given" / quality, answers, LABELS)
    fairness, counterfactual = {"attributes": 0}, {"axes": [], "status": "no terms"}
    for stage, metrics in (("evaluate", METRICS), ("fairness", fairness), ("counterfactual", counterfactual)):
        (root / "given" / f"{stage}.json").write_text(json.dumps(metrics))
    (root / "given" / "groups.csv").write_text(GROUPS)
    (root / "train.sh").write_text(TRAIN)
    stages = month_project.stage_graph()
    stages["export"] |= {"cmd": "sh train.sh", "deps": ["data/ingest/train.parquet", "train.sh", "given"]}
    (root / "dvc.yaml").write_text(to_yaml({"stages": stages}))
    for name in ("cli", "flows", "tasks", "pipeline"):
        (root / name).symlink_to(ROOT / name)
    (root / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())
    ignored = "/data\n/arrivals/*.parquet\n/inbox/\n/mlruns\n/mlflow.db*\n/.prefect\n/.loopback\n"
    (root / ".gitignore").write_text(ignored)
    announce_server(root, server)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "stages")
    return root


def drop_texts(root: Path, name: str, texts: list[str]) -> None:
    """Put a file of labelled texts into the inbox that nobody is writing any more."""
    path = night_project.drop_file(root, name, night_project.to_csv(list(labelled(texts)), "text", "label"))
    os.utime(path, (0, 0))


def kill_at(step: str, root: Path) -> None:
    """Let this process kill itself at a step."""
    module, name, when = STEPS[step]
    home: Any = import_module(module)
    real: Callable[..., Any] = getattr(home, name)

    def die(*given: Any, **named: Any) -> Any:
        if when == "during" and given[0] == "export":
            (root / "kill-me").write_text(str(os.getpid()))
        if when in ("after", "during"):
            result = real(*given, **named)
            if when == "during":
                return result
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(home, name, die)


def play_night(root: Path, flow_run: FlowRun, day: float) -> dict[str, Any]:
    """Run one night, and return its outcome and reason."""
    import numpy as np

    from flows.outcomes.night import Night, reason
    from flows.retrain import retrain
    from tasks import drift
    from tasks.prefect_states.user_error import result_of

    drift.embed = lambda texts, *_: np.zeros((len(texts), 2), dtype=np.float32)  # the encoder has no part in this
    with flow_run("retrain") as name:
        now = FIRST_NIGHT + timedelta(days=day)
        night: Night = result_of(retrain.with_options(flow_run_name=name)(root, False, now, return_state=True))
    return {"outcome": night.outcome, "reason": reason(night)}


def fork_night(root: Path, flow_run: FlowRun, day: float, step: str | None) -> dict[str, Any]:
    """Run one night in a forked process, and return its answer."""
    answer = root / ".prefect" / "answer.json"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout is for answers
        try:
            if step is not None:
                kill_at(step, root)
            outcome = play_night(root, flow_run, day)
            answer.write_text(json.dumps(outcome | {"modules": sorted(sys.modules)}))
        except BaseException:  # noqa: BLE001  the fork must not go on as its parent
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    content: dict[str, Any] = json.loads(answer.read_text()) if answer.exists() else {"modules": []}
    for module in content.pop("modules"):  # the next fork finds them imported
        with suppress(ImportError):
            import_module(module)
    return content


def main(root: Path) -> None:
    """Answer each request of stdin."""
    with prefect_session(root) as flow_run:
        for module in ("flows.retrain", "mlflow.pyfunc", "dvc.repo", "onnxruntime", "tasks.promote"):
            import_module(module)
        for line in sys.stdin:
            request = json.loads(line)
            print(json.dumps(fork_night(root, flow_run, request["day"], request["step"])), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
