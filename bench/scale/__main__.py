"""`python -m bench.scale`: prints the tables of docs/scale.md, and writes them with `--write docs/scale.md`."""

import argparse
from pathlib import Path

from bench.scale.measure import measure
from bench.scale.model import Load, Measured
from bench.scale.show import cases, document, simulate_all, write


def main() -> None:
    asking = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    asking.add_argument("--write", type=Path, metavar="FILE", help="write the part of this page anew, and its plot")
    asking.add_argument("--requests", type=int, default=Load().requests_day, help="a day")
    asking.add_argument("--measure", action="store_true", help="measure what the model takes from here, and print it")
    wanted = asking.parse_args()
    if wanted.measure:
        print(measure(20_000, 3.0))
        return
    simulated = simulate_all(cases())
    load, measured = Load(requests_day=wanted.requests), Measured()
    print(document(simulated, measured, load))
    if wanted.write is not None:
        write(wanted.write, simulated, measured, load)


if __name__ == "__main__":
    main()
