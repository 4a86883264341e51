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


def parts(path, policy):
    import email

    with open(path, "rb") as file:
        message = email.message_from_binary_file(file, policy=policy)
    for part in message.walk():
        try:
            yield part.get_payload(decode=True) or b""
        except Exception:
            pass


def email_default(path):
    import email.policy

    return parts(path, email.policy.default)


def email_compat32(path):
    import email.policy

    return parts(path, email.policy.compat32)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def codecs(path):
    """By the mark of its byte order, else as one of those that have none."""
    import codecs

    content = read(path)
    marks = [(codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]
    for mark, name in marks:
        if content.startswith(mark):
            yield content.decode(name, "replace").encode()
            return
    if content.startswith(b"+/v"):
        yield content.decode("utf-7", "ignore").encode("utf-8", "ignore")
    for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        yield content.decode(name, "ignore").encode("utf-8", "ignore")


def base64(path):
    """The whole, each line, what is between the lines of PEM, and as the other alphabet."""
    import base64
    import re

    content = read(path)
    pem = re.findall(rb"-----BEGIN [^-]*-----(.*?)-----END", content, re.S)
    bodies = [re.sub(rb"(?s)^.*?\n\s*\n", b"", body) for body in pem]
    for text in [content, *pem, *bodies, *content.splitlines()]:
        for decode in (base64.b64decode, base64.urlsafe_b64decode):
            try:
                yield decode(text if decode is base64.b64decode else text.strip())
            except Exception:
                pass


def page(path):
    """Text and the values of attributes of a page in HTML."""
    from html.parser import HTMLParser

    content = read(path)
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    text, values = [], []

    class Page(HTMLParser):
        def handle_data(self, data):
            text.append(data)

        def handle_starttag(self, tag, attributes):
            values.extend(value for _, value in attributes if value)

    page = Page()
    page.feed(content.decode("utf-16" if wide else "utf-8", "replace"))
    page.close()
    return "".join(text), values


def html(path):
    text, values = page(path)
    yield text.encode()
    yield "\n".join(values).encode()


def addresses(path):
    """What `data:` addresses lead to."""
    from urllib.request import urlopen

    for value in page(path)[1]:
        try:
            if value.strip().lower().startswith("data:"):
                yield urlopen(value.strip()).read()
        except Exception:
            pass


def holds(content):
    return MARKER in content


def gives(function, path):
    try:
        for content in function(path):
            if holds(content):
                return True
    except Exception:
        pass
    return False


for request, path in zip(sys.argv[1::2], sys.argv[2::2]):
    if gives(globals()[request.split(":")[1]], path):
        print(request)
