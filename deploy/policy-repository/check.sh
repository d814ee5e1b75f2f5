#!/bin/sh
# What CI does with a proposed change of a policy: check.sh FOLDER [CONTROLLER.YAML]
#
# Format and validate; with a controller.yaml, plan against the live systems with an account that can only read,
# and leave the plan as Markdown in plan.md and as data in plan.json. See docs/policy-ci.md.
#
# Exit 0: fine, whether or not the plan has changes. 1: the policy is not valid, or not all could be seen.
# 3: a brake holds the plan; plan.md says which.
set -eu

folder=${1:?which policy folder}
config=${2:-}

steward fmt --check "$folder" || { echo "run: steward fmt $folder" >&2; exit 1; }
steward validate "$folder"
[ -n "$config" ] || exit 0

code=0
steward plan "$folder" --config "$config" --output markdown --out plan.json >plan.md || code=$?
cat plan.md
[ "$code" -ne 2 ] || code=0   # 2 says that there are changes: that is what a proposal is for
exit "$code"
