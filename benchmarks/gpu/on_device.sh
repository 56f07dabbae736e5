#!/usr/bin/env bash
# On the machine with a GPU, in the root of the checkout:
#
#   bash benchmarks/gpu/on_device.sh [PART[=SECONDS] ...]
#
# Installs what pack.py packed beside the Python that is there, then runs the parts (README.md).
# $PY: a Python 3.12 with torch. $SITE: where the wheels go. $ZOO_DATA, $OUT, $BUDGET, $DEVICE: as
# README.md says.
set -euo pipefail
PY=${PY:-python3}
SITE=${SITE:-${XDG_CACHE_HOME:-$HOME/.cache}/zoo-gpu-site}
export ZOO_DATA=${ZOO_DATA:-$PWD/.gpu/data} OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}
export MPLBACKEND=Agg PYTHONUNBUFFERED=1

wheels=$(ls .whl/*.whl 2>/dev/null) || {
  echo "there are no wheels in .whl/: run benchmarks/gpu/pack.py where there is a network" >&2
  exit 2
}
if [ "$(cat "$SITE/.wheels" 2>/dev/null)" != "$wheels" ]; then
  rm -rf "$SITE"
  "$PY" -m pip install --quiet --no-index --no-deps --no-compile --target "$SITE" $wheels
  echo "$wheels" > "$SITE/.wheels"
fi
PYTHONPATH=$("$PY" benchmarks/gpu/dist_info.py . "$SITE")
export PYTHONPATH
exec "$PY" -m gpu.run "$@"
