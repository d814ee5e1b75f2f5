"""`python -m bench [NAME…]`: every benchmark, or those named; each prints a table of ratios against its
peers.
"""

import importlib
import importlib.util
import os
import sys
import traceback

BENCHMARKS = ("scrape", "agent", "faults", "vm", "verify", "policy", "lab", "proxmox", "apply")


def main(names: list[str]) -> int:
    """Run the benchmarks; 1 where one failed or is not there, 64 where a name is unknown.

    `--large` measures the largest sizes as well.
    """
    if "--large" in names:
        os.environ["BENCH_LARGE"] = "1"
        names = [name for name in names if name != "--large"]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(BENCHMARKS)})", file=sys.stderr)
        return 64
    failed = [name for name in names or BENCHMARKS if not _run(name)]
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str) -> bool:
    module = f"bench.{name}"
    print(f"\n== {name} ==", flush=True)
    if importlib.util.find_spec(module) is None:
        print(f"{module} is not there", file=sys.stderr)
        return False
    try:
        importlib.import_module(module).run()
    except Exception:  # noqa: BLE001 - one benchmark that fails must not hide the others
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
