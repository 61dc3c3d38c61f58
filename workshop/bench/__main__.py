"""`python -m workshop.bench [config.toml]`: see `workshop/bench/__init__.py`."""

import argparse
import os
import sys
from pathlib import Path

from workshop.bench import __doc__ as ABOUT
from workshop.bench import config
from workshop.errors import WorkshopError
from workshop.paths import home

DEFAULT = Path(__file__).with_name("default.toml")


def main() -> int:
    """Measure; 0 if all went well, 1 if a cell failed, 2 if nothing was measured for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m workshop.bench",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", nargs="?", type=Path, default=DEFAULT, help="a TOML file")
    parser.add_argument("--out", type=Path, help="folder (.workshop/bench/NAME of the TOML file)")
    args = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):  # the names of files, on a console of Windows too
        if hasattr(stream, "reconfigure"):  # not where tests capture it
            stream.reconfigure(errors="backslashreplace")
    try:
        read = config.read(args.config)
        # Read when numpy and faiss are imported, which is not before now, here and in each child.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(read.threads)
        from workshop.bench.report import write
        from workshop.bench.run import run

        out = args.out or home() / "bench" / args.config.stem
        if args.config == DEFAULT:
            print("The default grid takes a few minutes on two cores.", flush=True)
        results = run(read, out)
        page = write(results, out / "report.html")
    except WorkshopError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Cannot use {error.filename or args.out}: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted: finished cells are kept, the same command goes on.", file=sys.stderr)
        return 130
    print(
        f"{len(results['cells'])} cells. Curves and tables: {page}\nNumbers: {out / 'results.json'}"
    )
    if failed := results["failed"]:
        print(f"{len(failed)} cells failed; the same command tries them again.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
