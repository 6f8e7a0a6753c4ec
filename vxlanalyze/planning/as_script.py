"""A plan as one POSIX shell script, which sends itself to both nodes and runs the commands of the text there.

Each name appears in it once, quoted; only numbers go over the network. ``VIA=ssh`` uses ssh instead of
kubectl's debugging pods.
"""

from collections.abc import Iterable
from shlex import quote

from vxlanalyze.planning import around, on_node
from vxlanalyze.planning.model import Plan, Step

_HEAD = """\
#!/bin/sh
# Captures of two nodes at once, and what to save with them. Written by vxlanalyze --plan.
# Run it where the nodes can be reached, in a folder with room:  sh plan.sh
# VIA=kubectl takes debugging pods (kubectl 1.27 on), VIA=ssh takes ssh and sudo.
# Names stand quoted; what ssh is given are numbers and addresses.
# shellcheck disable=SC2016,SC2029
set -u
via=${VIA:-%(via)s}
image=${IMAGE:-%(image)s}
seconds=%(seconds)d
pods=%(pods)s
inner=%(inner)s

name_of() { # NUMBER
  case $1 in 1) printf '%%s' %(first)s ;; *) printf '%%s' %(second)s ;; esac
}

addresses_of() { # NUMBER: what the other node sends to
  case $1 in
    1) known=%(first_addresses)s ;;
    *) known=%(second_addresses)s ;;
  esac
  if [ -n "$known" ]; then
    printf '%%s' "$known"
  elif [ "$via" = kubectl ]; then
    kubectl get node "$(name_of "$1")" -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
  else
    getent ahosts "$(name_of "$1")" | awk 'NR == 1 {printf "%%s", $1}'
  fi | tr -cd '0-9a-fA-F.: '
}

on_node() { # NUMBER ADDRESS...: all that runs on a node
  name=$(name_of "$1")
  shift
  peers=$*
"""
_HERE = """\
}

reach() { # NUMBER COMMAND...: as root in the node's network
  number=$1
  shift
  if [ "$via" = ssh ]; then
    ssh "$(name_of "$number")" sudo "$@"
  else
    kubectl exec -i "$(cat ".pod$number")" -- "$@"
  fi
}

open_node() { # NUMBER: make its debugging pod
  [ "$via" = ssh ] && return
  kubectl debug "node/$(name_of "$1")" --profile=sysadmin --image="$image" -- \\
    sleep "$((seconds + 1800))" 2>&1 |
    sed -n 's/^Creating debugging pod \\([^ ]*\\).*/pod\\/\\1/p' > ".pod$1"
  kubectl wait --for=condition=Ready --timeout=180s "$(cat ".pod$1")"
}

close_nodes() {
  for number in 1 2; do
    if [ "$via" = ssh ]; then
      reach "$number" rm -rf %(folder)s < /dev/null
    elif [ -s ".pod$number" ]; then
      kubectl delete --wait=false "$(cat ".pod$number")"
    fi
    rm -f ".pod$number"
  done
}

fetch() { # NUMBER
  reach "$1" tar -C %(folder)s -czf - . < /dev/null | tar -xzf -
}
"""
_AGENT = """\

agent() { # NUMBER COMMAND...: in the overlay's agent on a node
  node=$(name_of "$1")
  shift
  found=$(kubectl get pods -A -l %(label)s --field-selector "spec.nodeName=$node" --no-headers \\
    -o custom-columns=:metadata.namespace,:metadata.name < /dev/null | head -n 1)
  namespace=${found%%%% *}
  kubectl -n "$namespace" exec "${found##* }" -c %(container)s -- "$@" < /dev/null
}
"""
_MAIN = """\

main() {
  script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
  folder=vxlanalyze-$(date -u +%Y%m%dT%H%M%SZ)
  mkdir "$folder" && cd "$folder" || exit 1
  trap close_nodes EXIT
  trap 'exit 130' INT TERM
  open_node 1 && open_node 2 || exit 1
  first=$(addresses_of 1)
  second=$(addresses_of 2)
  if [ -z "$first" ] || [ -z "$second" ]; then
    echo "the nodes' addresses are not known: give NAME=ADDRESS to vxlanalyze --plan" >&2
    exit 1
  fi
  echo "capturing for $seconds s: provoke the trouble now"
  # The lists of addresses are meant to be split.
  # shellcheck disable=SC2086
  reach 1 sh -s -- on-node 1 $second < "$script" &
  # shellcheck disable=SC2086
  reach 2 sh -s -- on-node 2 $first < "$script" &
"""
_END = """\
}

if [ "${1:-}" = on-node ]; then
  shift
  on_node "$@" < /dev/null
else
  main
fi
"""


def render(plan: Plan) -> str:
    """Write a plan as a script."""
    first, second = plan.stations
    pods = " ".join(a for s in plan.stations for a in s.pod_addresses)
    head = _HEAD % {
        "via": "kubectl" if plan.network.kubernetes else "ssh",
        "image": around.IMAGE,
        "seconds": plan.seconds,
        "pods": quote(pods),
        "inner": quote(plan.inner_filters),
        "first": first.quoted,
        "second": second.quoted,
        "first_addresses": quote(" ".join(first.addresses)),
        "second_addresses": quote(" ".join(second.addresses)),
    }
    steps = [*on_node.prepare(), *on_node.capture(plan), *on_node.facts(plan)]
    parts = [head, _indented(steps), _HERE % {"folder": on_node.FOLDER}]
    if plan.network.agent is not None:
        label, container = plan.network.agent
        parts.append(_AGENT % {"label": quote(label), "container": container})
    return "".join([*parts, _MAIN, _indented(_afterwards(plan)), _END])


def _indented(steps: Iterable[Step]) -> str:
    lines = []
    for step in steps:
        if step.purpose:
            lines.append(f"  # {step.purpose}")
        lines.append(f"  {step.command}")
    return "\n".join(lines) + "\n"


def _afterwards(plan: Plan) -> Iterable[Step]:
    """Local actions of the script, during and after the captures."""
    for number, station in enumerate(plan.stations, 1):
        folder = quote(f"{station.name}/facts")
        yield Step(f"mkdir -p {folder}")
        if plan.network.during:
            file, command = plan.network.during
            yield Step(f'agent {number} timeout -s INT "$seconds" {command} > {folder}/{file} &')
    yield Step("wait")
    for number in (1, 2):
        yield Step(f"fetch {number}")
    for number, station in enumerate(plan.stations, 1):
        for file, command in plan.network.in_agent:
            yield Step(f"agent {number} {command} > {quote(f'{station.name}/facts')}/{file}")
    yield from around.in_cluster(plan)
    yield Step(f"cat << 'COMMAND'\nin this folder, run:\n{around.analysis(plan)}\nCOMMAND")
    yield Step("pwd")
