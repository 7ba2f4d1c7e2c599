"""watcher.py -- a connection that keeps apart what it was told and what it was answered."""
from tidelock import Connection, same


def each_watch(events):
    """One event for each watch, where several hear of the same."""
    for watch, *rest in events:
        for number in watch if isinstance(watch, list) else [watch]:
            yield [number, *rest]


class Watcher(Connection):
    """events: (zxid, [[watch, kind, path, data?], ...]) as they came; told: (method, params)
    of every notification."""

    def __init__(self, address, timeout=10):
        self.events, self.lagged, self.progress, self.told = [], [], [], []
        super().__init__(address, timeout)

    def note(self, message):
        if message[0] == 2:
            self.told.append((message[1], message[2]))
        if message[0] == 2 and message[1] == "events":
            self.events.append((message[2][0], list(each_watch(message[2][1]))))
        if message[0] == 2 and message[1] == "lagged":
            self.lagged.append(message[2])
        if message[0] == 2 and message[1] == "progress":
            self.progress.append(message[2][0])
        return message

    def receive(self):
        return self.note(super().receive())

    def answer(self, msgid):
        while msgid not in self.answers:
            message = self.receive()
            if message[0] == 1:
                self.answers[message[1]] = (message[2], message[3])
        return super().answer(msgid)

    def wait_events(self, count):
        while sum(len(e) for _, e in self.events) < count:
            self.receive()
        return self.take()

    def take(self):
        """What was told of so far: [watch, kind, path, data?] in one list."""
        self.call("stat", "/")  # what stood before the answer is here then
        told = [event for _, events in self.events for event in events]
        zxids = [zxid for zxid, _ in self.events]
        same(zxids, sorted(set(zxids)), "zxids of notifications, rising")
        self.events = []
        return told


class Map:
    """What a snapshot told, and the changes after it: path -> data."""

    def __init__(self, watcher, number):
        self.watcher, self.number, self.nodes = watcher, number, {}

    def follow(self, check=None):
        """Takes all notifications that came; returns the zxid at which it became whole."""
        whole = None
        for kind, told in self.watcher.told:
            if kind == "nodes" and told[1] == self.number:
                for path, _, data in told[2]:
                    assert path not in self.nodes, path
                    self.nodes[path] = data
                whole = whole if told[3] else told[0]
            if kind == "events":
                self.change(told)
            if check:
                check(self.nodes)
        self.watcher.told.clear()
        return whole

    def change(self, told):
        for number, kind, path, *data in each_watch(told[1]):
            if number != self.number:
                continue
            assert (path in self.nodes) == (kind != "created"), (kind, path)
            if kind == "deleted":
                del self.nodes[path]
            else:
                self.nodes[path] = data[0]
