"""`make ray`: a real Ray cluster of two nodes on this machine, one of them killed meanwhile; writes docs/ray.log.

Networks of the zoo: all must be there at the end, each done once. Then the evaluation of one network in parts: its
figures must be those of a run in sequence.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from mrt.report.read import find_reports

NETWORKS = ("digits", "mnist", "cifar_resnet20_v1", "cifar_resnet20_v2")
EVALUATED = "cifar_resnet20_v1"
SAME = ("accuracy", "agreement", "sqnr_db", "samples", "bit_exact")
ROOT = Path(__file__).resolve().parents[1]
SECONDS = 900.0
LONGEST = 200
_begun = time.monotonic()
_log: list[str] = []


def say(text: str) -> None:
    line = f"{time.monotonic() - _begun:6.1f} s  {text}"
    _log.append(line)
    print(line, flush=True)


def doing(raylet: int, named: Callable[[str], bool]) -> list[str]:
    """The tasks that a node's processes are at; a process's title says which."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = (place / "stat").read_text().rsplit(")", 1)[1].split()[1]
            title = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if parent == str(raylet) and title.startswith("ray::"):
            found.append(title[len("ray::") :])
    return [name for name in found if named(name)]


def started(arguments: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", str(ROOT / "mrt" / "main.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def killed_meanwhile(cluster: Cluster, run: subprocess.Popen[str], named: Callable[[str], bool]) -> bool:
    """Kill the cluster's second node while it is at a task of that name; whether it ever was."""
    lost = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
    raylet = lost.all_processes["raylet"][0].process.pid
    until = time.monotonic() + SECONDS
    while not (at := doing(raylet, named)):
        if run.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.1)
    time.sleep(2.0)  # well into it
    at = doing(raylet, named) or at
    say(f"the second node is at {', '.join(at)}: it is killed")
    cluster.remove_node(lost, allow_graceful=False)
    return True


def worth_saying(line: str) -> bool:
    """What mrt says, and that Ray tries a task again; not what Ray dumps of a node that is lost."""
    return line.split(":")[0] in (*NETWORKS, "results") or "retried" in line or "passed" in line or "failed:" in line


def zoo(cluster: Cluster, folder: str) -> bool:
    command = ["zoo", "run", *NETWORKS, "--random-weights", "--pictures", "20", "--output", folder]
    say(f"mrt {' '.join(command[:-1])} FOLDER --ray ADDRESS")
    run = started([*command, "--ray", cluster.address])
    killed = killed_meanwhile(cluster, run, lambda name: name.split()[0] in NETWORKS)
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line.strip())
        if worth_saying(line):
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line.strip()).replace(folder, "FOLDER")
            say(plain[:LONGEST])
    status = run.wait()
    told = Counter(line.split(":")[0] for line in lines)
    reports = [found.name for found in find_reports([Path(folder)])]
    once = all(told[name] == 1 for name in NETWORKS) and sorted(reports) == sorted(NETWORKS)
    say(f"status {status}, {len(reports)} reports, {'each done once' if once else 'FAILED: not each done once'}")
    return killed and once and status == 0


def evaluation(cluster: Cluster, folder: str) -> bool:
    def command(out: str) -> list[str]:
        settings = [f"DEFAULT.Output_dir={folder}/{out}", f"COMPILATION.Dump_dir={folder}/{out}"]
        settings += ["EVALUATION.Batch=50", "EVALUATION.Iter_num=40"]
        config = str(ROOT / "mrt" / "zoo" / f"{EVALUATED}.ini")
        return [config, "--quiet", *(word for each in settings for word in ("--set", each))]

    def figures(out: str) -> dict[str, Any]:
        report = json.loads((Path(folder) / out / f"{EVALUATED}.report.json").read_text())
        return {name: report[name] for name in SAME}

    say(f"mrt mrt/zoo/{EVALUATED}.ini on 2,000 pictures, in parts: --ray ADDRESS")
    run = started([*command("ray"), "--ray", cluster.address])
    killed = killed_meanwhile(cluster, run, lambda name: name.startswith("pictures"))
    run.communicate()
    say(f"status {run.returncode}; the same in sequence")
    whole = started(command("whole"))
    whole.communicate()
    if run.returncode or whole.returncode:
        say(f"FAILED: status {run.returncode} and {whole.returncode}")
        return False
    split, whole_figures = figures("ray"), figures("whole")
    say(f"in parts: {split}")
    same = split == whole_figures
    say("in sequence: the same figures" if same else f"FAILED: in sequence: {whole_figures}")
    return killed and same


def main() -> int:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    passed = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (zoo, evaluation):
            cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
            say(f"a cluster of {len(cluster.list_all_nodes())} nodes")
            passed.append(part(cluster, f"{folder}/{part.__name__}"))
    cluster.shutdown()
    (ROOT / "docs" / "ray.log").write_text("\n".join(_log) + "\n")
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
