"""A list of checks. All are made, whatever fails; the last line on the standard output names them."""

import json
import sys
import traceback

_checks = []


def check(function):
    """Puts a function on the list under its own name."""
    _checks.append(function)
    return function


def run():
    """Makes all checks, and ends the program: with 1 if any of them failed."""
    failed = []
    for function in _checks:
        try:
            function()
        except Exception:
            failed.append(function.__name__)
            print(f"--- {function.__name__}", file=sys.stderr)
            traceback.print_exc()
    print(json.dumps({"checks": [function.__name__ for function in _checks], "failed": failed}))
    sys.exit(1 if failed else 0)
