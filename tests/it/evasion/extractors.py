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
