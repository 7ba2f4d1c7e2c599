"""lua.py -- runs lua_client.lua, a TAP program, in a stock lua5.4 against three servers."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from lua_process import environment
from tidelock import BIN, Cluster, begin

begin(100)
cluster = Cluster(3)
done = subprocess.run(["lua5.4", os.path.join(HERE, "lua_client.lua")], timeout=80,
                      env=environment(TIDELOCK_SERVERS=cluster.servers,
                                      TIDELOCK_DIR=cluster.dir,
                                      TIDELOCK=os.path.join(BIN, "tidelock")))
sys.exit(done.returncode)
