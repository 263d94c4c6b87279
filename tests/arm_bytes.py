"""Compiles networks of mrt/zoo as an AArch64 machine does, under qemu, and compares the bytes: `make reproducible-arm`.

Under build/arm: Debian's Python, what mrt needs as wheels for AArch64, and links in place of the Arm
Performance Libraries that MXNet's wheel asks for and does not bring: OpenBLAS and LAPACKE have the same functions.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

import everywhere
from compiled_bytes import PROJECT, manifest

BUILD = PROJECT / "build" / "arm"
ROOT, SITE, LINKS = BUILD / "root", BUILD / "site", BUILD / "links"
DEBIAN = "python3.11,libgomp1,libgfortran5,libopenblas0-serial,liblapacke,libgl1,libglib2.0-0"
LIBRARIES = ROOT / "usr" / "lib" / "aarch64-linux-gnu"
LINKED = {  # what MXNet's library is linked with, and what does instead
    "libarmpl_lp64_mp.so": LIBRARIES / "liblapacke.so.3",
    "libamath.so": ROOT / "lib" / "aarch64-linux-gnu" / "libm.so.6",
    "libastring.so": ROOT / "lib" / "aarch64-linux-gnu" / "libm.so.6",
}
GLIBC = ("2014", "_2_17", "_2_24", "_2_26", "_2_27", "_2_28", "_2_31", "_2_34")  # of wheels that Debian 12 can load


def install(requirements: Sequence[str]) -> None:
    """Make `BUILD`, where it is not there. Raises `everywhere.MissingError`, `subprocess.CalledProcessError`."""
    if not ROOT.exists():
        if not shutil.which("mmdebstrap"):
            raise everywhere.MissingError("no mmdebstrap: apt-get install mmdebstrap")
        making = BUILD / "root.part"
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        choice = ["--variant=extract", "--arch=arm64", f"--include={DEBIAN}"]
        subprocess.run(["mmdebstrap", *choice, "bookworm", str(making)], check=True)
        making.rename(ROOT)
    if not SITE.exists():
        making = BUILD / "site.part"
        shutil.rmtree(making, ignore_errors=True)
        wheels = ["--only-binary=:all:", "--python-version=3.11", *(f"--platform=manylinux{g}_aarch64" for g in GLIBC)]
        pip = [sys.executable, "-m", "pip", "--quiet", "install", "--target", str(making)]
        subprocess.run([*pip, *wheels, *requirements], check=True)
        making.rename(SITE)
    LINKS.mkdir(exist_ok=True)
    for name, target in LINKED.items():
        (LINKS / name).unlink(missing_ok=True)
        (LINKS / name).symlink_to(target)


def python() -> list[str]:
    """The command that runs Python there. Raises `everywhere.MissingError` where qemu is not installed."""
    values = {
        "LD_LIBRARY_PATH": f"{LINKS}:{LIBRARIES / 'openblas-serial'}",
        "PYTHONHOME": str(ROOT / "usr"),
        "PYTHONPATH": os.pathsep.join(map(str, (PROJECT, PROJECT / "python", SITE))),
    }
    sets = [part for name, value in values.items() for part in ("-E", f"{name}={value}")]
    return [everywhere.emulator(everywhere.ARM), "-L", str(ROOT), *sets, str(ROOT / "usr/bin/python3.11"), "-S", "-s"]


def requirements() -> list[str]:
    """What mrt needs, as it is installed here."""
    return [line for line in importlib.metadata.requires("mrt") or () if "extra ==" not in line]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the hashes of each file, made here and there; 1 if those of a network differ, 2 if something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["digits"], help="configurations of mrt/zoo")
    options = parser.parse_args(arguments)
    try:
        install(requirements())
        there = python()
    except everywhere.MissingError as error:
        print(f"arm_bytes: {error}", file=sys.stderr)
        return 2
    differ = 0
    for name in options.names:
        here, arm = (manifest(name, python=run)["files"] for run in ([sys.executable], there))
        for file in here:
            print(f"{name:20} {file:18} {here[file][:16]} {arm[file][:16]}", flush=True)
        differ += here != arm
    print(f"{differ} of {len(options.names)} networks differ" if differ else "the same bytes on AArch64")
    return min(differ, 1)


if __name__ == "__main__":
    sys.exit(main())
