"""What programs in Python get out of files: `NUMBER:FUNCTION PATH ...` prints those whose function gives the marker."""

import sys
import warnings

warnings.simplefilter("ignore")
MARKER = b"".join((b"X5O!P%@AP[4\\PZX54(P^)7CC)7}", b"$EICAR-STANDARD-", b"ANTIVIRUS-TEST-FILE!$H+H*"))


def zipfile(path):
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            try:
                yield archive.read(info, b"x")
            except Exception:
                pass


def inflated(content):
    """The content, and what gzip makes of it."""
    import zlib

    yield content
    try:
        yield zlib.decompressobj(31).decompress(content)
    except Exception:
        pass


def tarfile(path):
    import tarfile

    with tarfile.open(path) as archive:
        for info in archive:
            member = archive.extractfile(info) if info.isfile() else None
            if member:
                yield from inflated(member.read())


def pieces(stream):
    while True:
        piece = stream.read(16)
        if not piece:
            return
        yield piece


def joined(stream):
    """All that can be read before an error."""
    content = b""
    try:
        for piece in pieces(stream):
            content += piece
    except Exception:
        pass
    yield content


def gzip(path):
    import gzip

    return joined(gzip.open(path))


def bz2(path):
    import bz2

    return joined(bz2.open(path))


def gives(function, path):
    try:
        for content in function(path):
            if MARKER in content:
                return True
    except Exception:
        pass
    return False


for request, path in zip(sys.argv[1::2], sys.argv[2::2]):
    if gives(globals()[request.split(":")[1]], path):
        print(request)
