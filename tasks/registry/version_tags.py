"""Tags of versions that are read with and without MLflow."""

COMPLETE, YES, NO = "gleaner.complete", "yes", "no"  # tag of a training, and of a version
DVC_LOCK = "gleaner.dvc_lock"  # tag of a version: the digest of the dvc.lock that it was made with
LIMIT_CHANGES = "gleaner.limit_changes"  # tag of a version: changes of limits since the version before, as JSON
RETIRED = "gleaner.retired"  # tag of a version: when and why
