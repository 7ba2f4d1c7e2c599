"""command.py -- the command line as a test sees it: exit status, output, one line of error."""
import json
import subprocess

from tidelock import TIDELOCK, same

OK, FAILED, USAGE, UNREACHABLE, NOT_FOUND, CONFLICT, NOT_PERMITTED = range(7)


def cli(*args, data=b""):
    """(exit status, standard output, standard error)"""
    done = subprocess.run([TIDELOCK, *args], input=data, capture_output=True, timeout=30)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def fails(status, part, *args, data=b""):
    """It fails with this status, in one line that holds `part`, and prints nothing else."""
    got, out, err = cli(*args, data=data)
    what = "tidelock " + " ".join(args)[:80]
    same(got, status, "status of %s (%s)" % (what, err))
    assert part in err, "%s says %r, without %r" % (what, err, part)
    same((err.count("\n"), err[:10], out), (1, "tidelock: ", ""), what + " prints")


def prints(text, *args, data=b""):
    same(cli(*args, data=data), (OK, text, ""), "tidelock " + " ".join(args)[:80])


def answers(*args, data=b""):
    status, out, err = cli("-o", "json", *args, data=data)
    same((status, err, out.count("\n")), (OK, "", 1), "tidelock " + " ".join(args)[:80])
    return json.loads(out)
