#!/usr/bin/env python3
"""A client of vfindd in Python, with nothing but the standard library.

As a program:

    python3 client.py [--server=HOST:PORT] [--localhost] [--timeout=SECONDS] FILE...

sends each file to the server, or with --localhost only its name, and prints what was found and what was not examined. With
--localhost a FILE may be a folder. Exit codes: 23 something was found, 1 no server or lost, 2 something is not known to be
clean, 0 all clean, 255 wrong usage.

As a library:

    with Client("127.0.0.1:8081") as client:
        verdict = client.scan_bytes(b"...", "letter.txt")
        for pending in [client.submit_path(path) for path in paths]:   # side by side
            print(pending.result())

A verdict is clean only if the server said so about all of the content. Every error of the server, a lost connection and an
answer that never came are UNKNOWN, and must be treated as not clean.
"""

import argparse
import concurrent.futures
import dataclasses
import enum
import io
import os
import re
import socket
import stat
import struct
import sys
import threading
import time

# The server runs so many requests of a connection at the same time; more would only wait there.
AT_ONCE = 16
# No reply is longer: 33 names of 4 KiB, four bytes for each of theirs.
LONGEST_LINE = 1 << 20
BLOCK = 1 << 16
# What a terminal would obey: C0, DEL, C1 (also as bytes that are no UTF-8), and what turns the direction of text.
CONTROL = "[\x00-\x1f\x7f-\x9f\udc80-\udc9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"


class State(enum.Enum):
    CLEAN = "clean"
    INFECTED = "infected"
    UNKNOWN = "not known to be clean"


@dataclasses.dataclass
class Verdict:
    """What a request came to. Names are in the quoted form of replies."""

    name: str
    state: State = State.UNKNOWN
    # For each finding: the virus, the object, the place in it.
    findings: list = dataclasses.field(default_factory=list)
    # Each part that was not examined, as `reason : "name" : detail`; only with COVERAGE.
    gaps: list = dataclasses.field(default_factory=list)
    # Objects, bytes, gaps, notes, signature database; None without COVERAGE.
    coverage: list | None = None
    # Why the state is UNKNOWN.
    reason: str = ""
    # True when the server went away before it answered.
    lost: bool = False


class Refused(Exception):
    """There is no server, or it does not serve us."""


class _Request:
    def __init__(self, name, names, stream, size):
        self.verdict = Verdict(name)
        # As the server may call it in DONE; the empty name is that of the request.
        self.names = names
        self.stream = stream
        self.size = size
        # Why it cannot be clean, whatever DONE says.
        self.doubt = ""
        self.found = False
        self.uploader = None
        self.is_sent = stream is None
        self.future = concurrent.futures.Future()


class Client:
    """One connection to a server. Safe to use from several threads."""

    def __init__(self, server="127.0.0.1:8081", timeout=300.0, coverage=True):
        """Connects. `timeout` is how many seconds the server may be silent while it owes an answer."""
        self._timeout = timeout
        try:
            self._socket = socket.create_connection(_address(server), timeout)
        except OSError as error:
            raise Refused(f"no server at {server}: {error}") from error
        self._peer = self._socket.getpeername()
        self._input = b""
        # What the server wants its users to know, such as that it has test signatures only.
        self.notice = ""
        self._requests = {}
        self._last_id = 0
        self._has_coverage = False
        self._active = time.monotonic()
        self._lost = ""
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(AT_ONCE)
        try:
            self._greet(server, coverage)
        except OSError as error:
            self._socket.close()
            raise Refused(f"the server at {server} does not answer: {error}") from error
        except Refused:
            self._socket.close()
            raise
        threading.Thread(target=self._read_replies, daemon=True).start()

    def _greet(self, server, coverage):
        greeting = self._line()
        if greeting != "READY":
            raise Refused(f"the server at {server} takes no requests: {greeting or 'it closed the connection'}")
        if coverage:
            self._socket.sendall(b"ENABLE COVERAGE\r\n")
            answer = self._line()
            # A server without this extension says EINVAL, and serves all the same.
            if not answer or answer.split()[0] not in ("OK", "EINVAL", "ENOTSUP"):
                raise Refused(f"the server at {server} does not speak SVSP: {answer!r}")
            self._has_coverage = answer.split()[0] == "OK"
            if answer.startswith("OK "):
                self.notice = answer.removeprefix("OK ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connection. The server drops requests that are still pending; they become UNKNOWN."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def scan_path(self, path):
        """Has the server scan a file or folder of its own machine."""
        return self.submit_path(path).result()

    def scan_file(self, path):
        """Sends a file of this machine."""
        return self.submit_file(path).result()

    def scan_stream(self, stream, label=""):
        """Sends what a binary stream holds, up to its end, and closes it."""
        return self.submit_stream(stream, label).result()

    def scan_bytes(self, content, label=""):
        """Sends this content."""
        return self.scan_stream(io.BytesIO(content), label)

    def submit_path(self, path):
        """As scan_path, without waiting for the verdict: a Future of it."""
        return self._submit("FILE", _absolute(path), None)

    def submit_file(self, path):
        """As scan_file, without waiting for the verdict: a Future of it."""
        try:
            stream = _open(path)
        except OSError as error:
            done = concurrent.futures.Future()
            done.set_result(Verdict(_text(_quoted(os.fsencode(path))), reason=error.strerror))
            return done
        # One that is cut short while it is sent is not the one that was to be scanned.
        return self._submit("REQUEST", _absolute(path), stream, os.fstat(stream.fileno()).st_size)

    def submit_stream(self, stream, label=""):
        """As scan_stream, without waiting for the verdict: a Future of it."""
        return self._submit("REQUEST", label if isinstance(label, bytes) else os.fsencode(label), stream)

    def _submit(self, source, name, stream, size=0):
        # A name that the end of the line would change goes in the quoted form. In a label it only needs to be one line.
        is_odd = re.search(rb'[\x00-\x1f\x7f]|^[ "]', name) is not None
        on_the_wire = _quoted(name) if is_odd else name
        request = _Request(_text(_quoted(name)), (b"", name, on_the_wire), stream, size)
        self._room.acquire()
        with self._lock:
            self._last_id += 1
            number = self._last_id
            self._requests[number] = request
            self._active = time.monotonic()
            lost = self._lost
            if not lost:
                try:
                    self._socket.sendall(b"%d SCAN/%s %s\r\n" % (number, source.encode(), on_the_wire))
                except OSError as error:
                    lost = str(error)
        if lost:
            self._lose(number, lost)
        return request.future

    # From here on: the thread that reads replies.

    def _read_replies(self):
        lost = "the server closed the connection"
        try:
            while line := self._line():
                self._reply(line)
        except Exception as error:  # Whatever it is, nobody may wait forever.
            lost = str(error)
        self._socket.close()
        with self._lock:
            self._lost = lost
            numbers = list(self._requests)
        for number in numbers:
            self._lose(number, lost)

    def _line(self):
        """The next line; empty at the end of the connection."""
        while b"\n" not in self._input:
            if len(self._input) > LONGEST_LINE:
                raise OSError("a reply without an end")
            try:
                block = self._socket.recv(BLOCK)
            except TimeoutError:
                # While content goes out, or right after a request, the server's silence means nothing.
                silence = time.monotonic() - self._active
                if self._last_id > 0 and (not self._requests or silence < self._timeout):
                    continue
                raise TimeoutError(f"no answer for {self._timeout:g} seconds") from None
            if not block:
                # What came without a line end may be half of something else.
                return ""
            self._input += block
        line, _, self._input = self._input.partition(b"\n")
        return _text(line.removesuffix(b"\r"))

    def _reply(self, line):
        found = re.fullmatch(r"([0-9]+) +([^ ]+) *(.*)", line, re.DOTALL)
        if not found:
            raise OSError(f"a reply that belongs to no request: {line[:200]!r}")
        number, word, rest = int(found[1]), found[2].upper(), found[3]
        with self._lock:
            request = self._requests.get(number)
        if request is None:
            raise OSError(f"a reply to a request that has ended: {line[:200]!r}")
        verdict = request.verdict
        if word == "INFECTED" and len(_fields(rest)) > 1:
            verdict.findings.append(tuple(_fields(rest)))
        elif word == "SKIPPED":
            verdict.gaps.append(rest)
        elif word == "COVERAGE":
            verdict.coverage = rest.split()
        elif word == "SEND":
            self._upload(request, rest)
        elif word == "DONE":
            self._end(number, request, rest)
        elif re.fullmatch("E[A-Z0-9]+", word):
            self._finish(number, State.UNKNOWN, f"{word} {rest}")
        elif word not in ("QUEUED", "SCANNING", "NOTE"):
            # It may have been a finding.
            request.found = request.found or word.startswith("INFECTED")
            request.doubt = f"a reply that makes no sense: {word} {rest[:200]}"

    def _end(self, number, request, rest):
        # Servers that leave out the count exist.
        count, *name = map(str.strip, _fields(rest))
        findings = request.found or request.verdict.findings
        if not name or (count and not count.isdecimal()):
            self._finish(number, State.UNKNOWN, f"an answer that is none: DONE {rest}")
        elif findings or int(count or 0):
            self._finish(number, State.INFECTED, "")
        elif request.doubt:
            self._finish(number, State.UNKNOWN, request.doubt)
        elif _unquoted(name[0]) not in request.names:
            self._finish(number, State.UNKNOWN, f"an answer about something else: DONE {rest}")
        elif self._has_coverage and request.verdict.coverage is None:
            self._finish(number, State.UNKNOWN, "an answer without COVERAGE")
        elif request.uploader is not None and not self._has_all(request):
            self._finish(number, State.UNKNOWN, "the server answered before it had all of the content")
        elif not request.is_sent:
            self._finish(number, State.UNKNOWN, "the content did not reach the server")
        else:
            self._finish(number, State.CLEAN, "")

    def _has_all(self, request):
        # The server has closed its side before it answers, so that thread has nothing left to do but say so.
        request.uploader.join(10)
        return request.is_sent

    def _lose(self, number, why):
        self._finish(number, State.UNKNOWN, why, lost=True)

    def _finish(self, number, state, reason, lost=False):
        with self._lock:
            request = self._requests.pop(number, None)
        if request is None:
            return
        if request.stream is not None and request.uploader is None:
            request.stream.close()
        verdict = request.verdict
        verdict.state = State.INFECTED if verdict.findings or request.found else state
        verdict.reason, verdict.lost = reason, lost
        self._room.release()
        request.future.set_result(verdict)

    # From here on: a thread for each content that is being sent.

    def _upload(self, request, port):
        if request.stream is None or request.uploader is not None or not port.isdecimal() or int(port) > 65535:
            raise OSError(f"the server wants content at a wrong time or place: SEND {port}")
        arguments = (request, int(port))
        request.uploader = threading.Thread(target=self._send, args=arguments, daemon=True)
        request.uploader.start()

    def _send(self, request, port):
        try:
            with request.stream as stream:
                # The address of the control connection: the whole of it, for IPv6 has more parts than two.
                channel = socket.socket(self._socket.family)
                with channel:
                    channel.settimeout(self._timeout)
                    channel.connect((self._peer[0], port, *self._peer[2:]))
                    # Until all is sent the connection ends in a reset: a plain end would make a part look like the whole.
                    channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sent = 0
                    while block := stream.read(BLOCK):
                        channel.sendall(block)
                        sent += len(block)
                        self._active = time.monotonic()
                    # A stream that does not wait says None where it has nothing yet, which is not its end.
                    if block is None or sent < request.size:
                        return
                    channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
                    channel.shutdown(socket.SHUT_WR)
                    # The server closes its side when it has read all. Somebody else at our address may have been first at
                    # the port: this connection is then reset, and the answer is about other content.
                    request.is_sent = channel.recv(1) == b""
        except (OSError, ValueError):
            # The server sees no connection or a reset, and says what it makes of it.
            pass


def _address(server):
    host, colon, port = server.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = server, "8081"
    if not port.isdecimal():
        raise ValueError(f"no address of a server: {server}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _absolute(path):
    # Links and `..` in it are the server's to follow.
    return os.fsencode(os.path.join(os.getcwd(), path))


def _open(path):
    # Without waiting: a named pipe may have nobody at its other end.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "not a file; folders need --localhost")
    return os.fdopen(handle, "rb", buffering=0)


def _quoted(name):
    """A name as in replies: on one line, in double quotes."""

    def escape(found):
        return {"\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}.get(found[0]) or _plain(found[0])

    return _bytes('"' + re.sub(r'["\\]|' + CONTROL, escape, _text(name)) + '"')


def _unquoted(text):
    """The name that a reply has as one quoted name, or None."""
    if not re.fullmatch(r'"(?:\\.|[^"\\])*"', text, re.DOTALL):
        return None

    def unescape(found):
        return bytes([int(found[1], 16)]) if found[1] else {b"n": b"\n", b"r": b"\r"}.get(found[2], found[2])

    return re.sub(rb"\\(?:x([0-9a-fA-F]{2})|(.))", unescape, _bytes(text)[1:-1], flags=re.DOTALL)


def _plain(text):
    """What a server said or a file is called, for a terminal."""
    return re.sub(CONTROL, lambda found: "".join(f"\\x{byte:02x}" for byte in _bytes(found[0])), text)


def _text(line):
    # Names may be in any encoding; what cannot be read as UTF-8 comes back as the same bytes by os.fsencode.
    return line.decode("utf-8", "surrogateescape")


def _bytes(text):
    return text.encode("utf-8", "surrogateescape")


def _fields(text):
    """The parts between ` : `, wherever that stands outside of quotes."""
    fields, start = [], 0
    for found in re.finditer(r'"(?:\\.|[^"\\])*"|(?: |^): ', text, re.DOTALL):
        if not found[0].startswith('"'):
            fields.append(text[start:found.start()])
            start = found.end()
    fields.append(text[start:])
    return fields


def _print(verdict):
    lines = [f"{name}: {virus}" + (f" ({place})" if place else "")
             for virus, name, place in ((*found, "", "")[:3] for found in verdict.findings)]
    if verdict.state is State.UNKNOWN:
        lines.append(f"{verdict.name}: NOT KNOWN TO BE CLEAN: {verdict.reason}")
    lines += [f"not examined: {gap}" for gap in verdict.gaps]
    for line in lines or [f"{verdict.name}: {verdict.state.value}"]:
        sys.stdout.buffer.write(_bytes(_plain(line)) + b"\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description="Has files scanned by a vfindd.")
    parser.add_argument("--server", default="127.0.0.1:8081", metavar="HOST:PORT")
    parser.add_argument("-l", "--localhost", action="store_true", help="send names, not contents")
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("files", nargs="+", metavar="FILE")
    try:
        arguments = parser.parse_args()
    except SystemExit as end:
        return 255 if end.code else 0
    exit_code = 0
    rank = [0, 2, 1, 23]
    try:
        with Client(arguments.server, arguments.timeout) as client:
            if client.notice:
                print(_plain(f"the server has {client.notice}"), file=sys.stderr)
            submit = client.submit_path if arguments.localhost else client.submit_file
            for verdict in _in_order(submit, arguments.files):
                _print(verdict)
                code = {State.CLEAN: 0, State.INFECTED: 23}.get(verdict.state, 1 if verdict.lost else 2)
                exit_code = max(exit_code, code, key=rank.index)
    except Refused as error:
        print(_plain(str(error)), file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 255
    return exit_code


def _in_order(submit, files):
    """The verdicts in the order of the files, with as many requests at once as the server runs."""
    pending = []
    for file in files:
        pending.append(submit(file))
        if len(pending) == AT_ONCE:
            yield pending.pop(0).result()
    for future in pending:
        yield future.result()


if __name__ == "__main__":
    sys.exit(main())
