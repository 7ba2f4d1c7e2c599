"""relay.py -- stands between the servers of a cluster and holds up what some of them say.

Each server is dialled by the others at the address of its relay. Who dials says so in its
hello (core/server/wire.h), so each connection is known by both its ends. A server that is cut
off hears nothing and is not heard, as behind a network that lost its way: connections stay,
and what was under way arrives when it is healed.
"""
import socket
import struct
import threading

HELLO_FROM = 8 + 8 + 4 + 8  # the frame's header, magic, version, cluster: then the sender


class Relay:
    """In front of one server, whose own peer address is `to`."""

    def __init__(self, node, to, cut):
        self.node, self.to, self.cut = node, to, cut
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        start(self.listen)

    def listen(self):
        while True:
            near, _ = self.listener.accept()
            start(self.serve, near)

    def serve(self, near):
        try:
            host, port = self.to.rsplit(":", 1)
            far = socket.create_connection((host, int(port)), 5)
            far.settimeout(None)
            hello = near.recv(1 << 16)
            while len(hello) < HELLO_FROM + 4:
                hello += near.recv(1 << 16)
        except OSError:
            near.close()
            return
        ends = {self.node, struct.unpack_from("<I", hello, HELLO_FROM)[0]}
        start(self.pump, far, near, ends, b"")
        self.pump(near, far, ends, hello)

    def pump(self, source, sink, ends, data):
        for s in (source, sink):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                self.cut.wait_healed(ends)
                sink.sendall(data)
                data = source.recv(1 << 16)
                if not data:
                    break
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Cut:
    """Which servers are cut off now."""

    def __init__(self):
        self.nodes, self.changed = set(), threading.Condition()

    def set(self, *nodes):
        with self.changed:
            self.nodes = set(nodes)
            self.changed.notify_all()

    def wait_healed(self, ends):
        with self.changed:
            self.changed.wait_for(lambda: not ends & self.nodes)


def start(function, *args):
    threading.Thread(target=function, args=args, daemon=True).start()
