#!/usr/bin/env python3
"""A client of vfindd over HTTP in Python, with nothing but the standard library.

    python3 http.py [--server=http://HOST:PORT] FILE...

VFIND_TOKEN says who asks. Exit codes: 23 something was found, 2 something is not known to be clean, 0 all clean, 255 wrong
usage. As a library: scan("http://127.0.0.1:8082", open("letter", "rb"), "letter") gives the verdict as a dictionary
(docs/schema/verdict-1.json), and raises for everything that is none.
"""

import sys

# This file's name is that of a module of the standard library, which must be found first.
if sys.path and not sys.flags.safe_path:
    sys.path.pop(0)

import argparse
import json
import os
import urllib.parse
import urllib.request


def scan(server, content, name, token=None, timeout=300):
    """Has a content scanned: bytes, or an open file."""
    query = urllib.parse.urlencode({"name": name}, quote_via=urllib.parse.quote)
    request = urllib.request.Request(f"{server}/v1/scan?{query}", data=content, method="PUT")
    if isinstance(content, bytes):
        request.add_header("Content-Length", str(len(content)))
    else:
        request.add_header("Content-Length", str(os.fstat(content.fileno()).st_size))
    request.add_header("Content-Type", "application/octet-stream")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    # The answer must come from there: no proxy, and nobody else whom it names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as answer:
        verdict = json.load(answer)
    if verdict["version"] != 1 or verdict["verdict"] not in ("clean", "incomplete", "infected"):
        raise ValueError("the answer is no verdict")
    return verdict


def main():
    parser = argparse.ArgumentParser(description="Has files scanned by a vfindd over HTTP")
    parser.add_argument("--server", default="http://127.0.0.1:8082")
    parser.add_argument("files", nargs="+", metavar="FILE")
    try:
        asked = parser.parse_args()
    except SystemExit as end:
        return 255 if end.code else 0
    codes = {0}
    for file in asked.files:
        try:
            with open(file, "rb") as content:
                verdict = scan(asked.server, content, os.fsencode(file), os.environ.get("VFIND_TOKEN"))
        except (OSError, ValueError, KeyError) as error:
            print(f"{file!r}: NOT KNOWN TO BE CLEAN: {error}")
            codes.add(2)
            continue
        for found in verdict["findings"]:
            where = " -> ".join(repr(name["text"]) for name in found["path"])
            print(f"{where}: {found['engine']} {found['name']}")
        for gap in verdict["gaps"]:
            where = " -> ".join(repr(name["text"]) for name in gap["path"])
            print(f"{where}: NOT SCANNED {gap['reason']}: {gap['detail']}")
        print(f"{file!r}: {verdict['verdict']}")
        codes.add({"clean": 0, "incomplete": 2, "infected": 23}[verdict["verdict"]])
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
