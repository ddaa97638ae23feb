#!/bin/bash
# The entry point of a night's container: bring the project, run what Prefect's worker says, send back what arrived.
#   night.sh prefect flow-run execute
# Settings come from the environment or from /run/secrets/nights.env, one NAME=VALUE a line, taken as it is:
#   GLEANER_REPOSITORY    URL of the project's git repository; GLEANER_BRANCH where it is not the default branch
#   GIT_USERNAME, GIT_PASSWORD    where that URL asks for them
#   MLFLOW_TRACKING_URI   the tracking server, and what the DVC remote needs, such as AWS_ACCESS_KEY_ID
set -euo pipefail
umask 077
trap : TERM INT  # the night hears it, too, and ends itself; what arrived is sent back all the same

settings=${GLEANER_SETTINGS:-/run/secrets/nights.env}
project=${GLEANER_PROJECT:-/srv/gleaner/project}

fail() {
	echo "error: $1" >&2
	exit 2
}

if [ -f "$settings" ]; then
	while IFS= read -r line || [ -n "$line" ]; do
		[[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] && export "${line%%=*}=${line#*=}"
	done <"$settings"
fi
[ -n "${GLEANER_REPOSITORY:-}" ] || fail "GLEANER_REPOSITORY: expected the URL of the project's repository, found none; set it in $settings"
[ -n "${MLFLOW_TRACKING_URI:-}" ] || fail "MLFLOW_TRACKING_URI: expected a tracking server, found none; set it in $settings: versions in a container would be lost"

# The password goes from the environment to git, and stands in no file and on no command line.
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=3
export GIT_CONFIG_KEY_0=credential.helper
export GIT_CONFIG_VALUE_0='!f() { test "$1" = get && printf "username=%s\npassword=%s\n" "${GIT_USERNAME:-}" "${GIT_PASSWORD:-}"; }; f'
export GIT_CONFIG_KEY_1=user.name GIT_CONFIG_VALUE_1=${GIT_AUTHOR_NAME:-gleaner}
export GIT_CONFIG_KEY_2=user.email GIT_CONFIG_VALUE_2=${GIT_AUTHOR_EMAIL:-gleaner@localhost}

update() { # arrivals are files of their own, so that commits of nights and of people merge
	git pull --quiet --no-rebase --no-edit && return
	git merge --abort 2>/dev/null || true
	# A night's own, which each version has in the registry; people committed another. Before the first night none is there.
	git checkout --quiet -- dvc.lock 2>/dev/null || true
	git pull --quiet --no-rebase --no-edit && return
	git merge --abort 2>/dev/null || true
	fail "$project: expected the branch to merge with that of GLEANER_REPOSITORY, found what git says above; merge by hand"
}

tracked() { # what DVC keeps and git points to: arrivals, and data of yours
	git ls-files -z '*.dvc' | xargs -0 --no-run-if-empty dvc "$@"
}

if [ ! -d "$project/.git" ]; then # the first night, or a volume that is gone
	rm -rf "$project.part"
	git clone --quiet ${GLEANER_BRANCH:+--branch "$GLEANER_BRANCH"} "$GLEANER_REPOSITORY" "$project.part"
	mv "$project.part" "$project"
fi
cd "$project"
update
tracked pull --quiet

code=0
"$@" || code=$?

# Content first: a pointer in git must never name what no remote has.
tracked push --quiet
update
git push --quiet
exit "$code"
