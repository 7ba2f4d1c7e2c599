"""lua_process.py -- stock Lua 5.4 processes with the client module, run by tests.

A module that was built with a sanitizer needs its runtime loaded before lua's own start;
Lua itself is not built with it, so only what the module does is judged.
"""
import os
import signal
import subprocess

from tidelock import adopt

MODULE = os.path.join(os.environ["TIDELOCK_BUILD"], "lua", "tidelock.so")

# Runs each line of its input, and answers with what that returned, or with the error.
LOOP = """
tidelock = require "tidelock"
io.stdout:setvbuf "line"
for line in io.lines() do
  local done, answer = pcall(assert(load(line)))
  print((done and "" or "error: ") .. tostring(answer))
end
"""


def sanitizer():
    """The runtime that the module is linked with, if it is."""
    listed = subprocess.run(["ldd", MODULE], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        if "libasan" in line:
            return line.split()[2]
    return None


def environment(**more):
    made = dict(os.environ, LUA_CPATH=os.path.join(os.path.dirname(MODULE), "?.so"), **more)
    preload = sanitizer()
    if preload:
        made["LD_PRELOAD"] = preload
    return made


class Lua:
    """A process that is told what to do, line by line."""

    def __init__(self, servers):
        self.process = subprocess.Popen(["lua5.4", "-e", LOOP], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env=environment(TIDELOCK_SERVERS=servers))
        adopt(self.process.pid)

    def begin(self, code):
        self.process.stdin.write(code.replace("\n", " ") + "\n")
        self.process.stdin.flush()

    def answer(self):
        got = self.process.stdout.readline().rstrip("\n")
        assert not got.startswith("error: "), got
        return got

    def do(self, code):
        self.begin(code)
        return self.answer()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
