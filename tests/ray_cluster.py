"""`make ray`: networks of the zoo on a real Ray cluster of two nodes on this machine, one of them killed meanwhile.

All must be there at the end, each done once; the log goes to docs/ray.log.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ray.cluster_utils import Cluster

from mrt.report.read import find_reports

NETWORKS = ("digits", "mnist", "cifar_resnet20_v1", "cifar_resnet20_v2")
ROOT = Path(__file__).resolve().parents[1]
SECONDS = 900.0
LONGEST = 200
_begun = time.monotonic()
_log: list[str] = []


def say(text: str) -> None:
    line = f"{time.monotonic() - _begun:6.1f} s  {text}"
    _log.append(line)
    print(line, flush=True)


def doing(raylet: int) -> list[str]:
    """The tasks that a node's processes are at; a process's title says which."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = (place / "stat").read_text().rsplit(")", 1)[1].split()[1]
            title = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if parent == str(raylet) and title.startswith("ray::"):
            found.append(title[len("ray::") :].split()[0])
    return [name for name in found if name in NETWORKS]


def worth_saying(line: str) -> bool:
    """What mrt says, and that Ray tries a task again; not what Ray dumps of a node that is lost."""
    return line.split(":")[0] in (*NETWORKS, "results") or "retried" in line or "passed" in line or "failed:" in line


def main() -> int:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    lost = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    say(f"a cluster of {len(cluster.list_all_nodes())} nodes")
    raylet = lost.all_processes["raylet"][0].process.pid
    with tempfile.TemporaryDirectory() as folder:
        command = ["zoo", "run", *NETWORKS, "--random-weights", "--pictures", "20", "--output", folder]
        say(f"mrt {' '.join(command[:-1])} FOLDER --ray ADDRESS")
        run = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "mrt" / "main.py"), *command, "--ray", cluster.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert run.stdout is not None
        while not (at := doing(raylet)):
            if run.poll() is not None or time.monotonic() - _begun > SECONDS:
                say("FAILED: the second node never got a network")
                return 1
            time.sleep(0.1)
        time.sleep(2.0)  # well into it
        at = doing(raylet) or at
        say(f"the second node is at {', '.join(at)}: it is killed")
        cluster.remove_node(lost, allow_graceful=False)
        lines = []
        for line in run.stdout:
            lines.append(line.strip())
            if worth_saying(line):
                say(line.strip().replace(folder, "FOLDER")[:LONGEST])
        status = run.wait()
        told = Counter(line.split(":")[0] for line in lines)
        reports = [found.name for found in find_reports([Path(folder)])]
    once = all(told[name] == 1 for name in NETWORKS) and sorted(reports) == sorted(NETWORKS)
    say(
        f"status {status}, {len(reports)} reports, {'each network done once' if once else 'FAILED: not each done once'}"
    )
    cluster.shutdown()
    (ROOT / "docs" / "ray.log").write_text("\n".join(_log) + "\n")
    return int(status != 0 or not once)


if __name__ == "__main__":
    sys.exit(main())
