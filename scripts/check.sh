#!/usr/bin/env bash
# Every static check, each named, all run, failing if any failed.
set -uo pipefail
failed=()
verify() {
  local name=$1
  shift
  printf '%-18s' "$name"
  if output=$("$@" 2>&1); then
    echo ok
  else
    echo FAILED
    echo "$output"
    failed+=("$name")
  fi
}
breaking() {
  git rev-parse --verify --quiet "${BASE:-origin/main}" >/dev/null || return 0
  git cat-file -e "${BASE:-origin/main}:protos" 2>/dev/null || return 0
  buf breaking --against ".git#ref=${BASE:-origin/main}"
}
pages() {
  python -m scripts.reference_pages --check && python scripts/settings_tables.py --check
}
verify format ruff format --check .
verify lint ruff check .
verify types mypy
verify imports lint-imports
verify "buf lint" buf lint
verify "buf format" buf format --diff --exit-code
verify "buf breaking" breaking
verify "generated code" python scripts/generate_protos.py --check
verify "client's methods" python -m scripts.client_methods --check
verify "sync client" python scripts/sync_client.py --check
verify "generated pages" pages
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
