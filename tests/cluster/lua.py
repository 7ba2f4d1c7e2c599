"""lua.py -- runs lua_client.lua, a TAP program, in a stock lua5.4 against three servers.

A module that was built with a sanitizer needs its runtime loaded before lua's own start;
Lua itself is not built with it, so only what the module does is judged.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from tidelock import BIN, Cluster, begin

MODULE = os.path.join(os.environ["TIDELOCK_BUILD"], "lua", "tidelock.so")


def sanitizer():
    """The runtime that the module is linked with, if it is."""
    listed = subprocess.run(["ldd", MODULE], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        if "libasan" in line:
            return line.split()[2]
    return None


begin(100)
cluster = Cluster(3)
environment = dict(os.environ, TIDELOCK_SERVERS=cluster.servers, TIDELOCK_DIR=cluster.dir,
                   TIDELOCK=os.path.join(BIN, "tidelock"),
                   LUA_CPATH=os.path.join(os.path.dirname(MODULE), "?.so"))
preload = sanitizer()
if preload:
    environment["LD_PRELOAD"] = preload
done = subprocess.run(["lua5.4", os.path.join(HERE, "lua_client.lua")], env=environment,
                      timeout=80)
sys.exit(done.returncode)
