"""What is before and behind amavisd in tests/amavis/run: somebody who sends mails, and a next hop that keeps them.

usage: mail.py sink FILE                    take mails by SMTP, append them to FILE
       mail.py cases SOCKET FILE LOG ENTRY  send each mail to amavisd by LMTP, and look at what came of it
"""

import io
import pathlib
import smtplib
import socketserver
import sys
import tarfile
import time
from email.message import EmailMessage

# No step takes this long unless something hangs.
PATIENCE = 60
END_OF_MAIL = b"\n=== end of mail ===\n"
# In two halves: this file itself is to be clean.
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + r"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()


class Hop(socketserver.StreamRequestHandler):
    """One SMTP conversation, just as much of it as amavisd speaks."""

    timeout = PATIENCE

    def handle(self):
        self.say("220 sink.example.org ESMTP")
        for line in self.rfile:
            verb = line.split(None, 1)[0].upper() if line.strip() else b""
            if verb == b"DATA":
                self.say("354 go on")
                mail = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    mail.append(line.removeprefix(b"."))
                with open(self.server.file, "ab") as kept:
                    kept.write(b"".join(mail) + END_OF_MAIL)
                self.say("250 2.0.0 kept")
            elif verb == b"QUIT":
                return self.say("221 2.0.0 bye")
            else:
                self.say("250 2.0.0 fine")

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


def sink(file):
    pathlib.Path(file).touch()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hop) as server:
        server.daemon_threads = True
        server.file = file
        print("listening", server.server_address[1], flush=True)
        server.serve_forever()


def mail(subject, attachments=()):
    message = EmailMessage()
    message["From"] = "sender@example.org"
    message["To"] = "receiver@example.org"
    message["Subject"] = subject
    message["Date"] = "Mon, 02 Jan 2012 12:00:00 +0000"
    message["Message-ID"] = f"<{subject}@example.org>"
    message.set_content("Good morning,\n\nnothing but a few words.\n")
    for name, content in attachments:
        message.add_attachment(content, "application", "octet-stream", filename=name)
    return message


def tar_gz(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def dolls(depth):
    content = EICAR
    for _ in range(depth // 2):
        content = tar_gz("inside", content)
    return content


# Each mail, the kind of reply that it must get, and what amavisd must write into its log about it.
CASES = [
    (mail("clean"), "2", "Passed CLEAN"),
    (mail("clean-attachment", [("notes.tar.gz", tar_gz("notes", b"harmless"))]), "2", "Passed CLEAN"),
    (mail("infected", [("letter.com", EICAR)]), "5", "Blocked INFECTED (EICAR-Test-File)"),
    (mail("infected-inside", [("letters.tar.gz", tar_gz("letter.com", EICAR))]), "5",
     "Blocked INFECTED (EICAR-Test-File)"),
    # Deeper than the daemon and vfind look: nobody knows, so it must wait in the queue of who sent it.
    (mail("too-deep", [("dolls.tar.gz", dolls(40))]), "4", "ALL VIRUS SCANNERS FAILED"),
]


def connect(at):
    # Between bind and listen the socket is there, and refuses.
    for _ in range(10 * PATIENCE):
        try:
            return smtplib.LMTP(at, timeout=PATIENCE)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise TimeoutError(f"nobody listens at {at}")


def send(at, message):
    """The code and text of the last reply, whatever it is."""
    with connect(at) as lmtp:
        try:
            lmtp.ehlo()
            lmtp.mail(message["From"])
            lmtp.rcpt(message["To"])
            return lmtp.data(message.as_bytes())
        except smtplib.SMTPResponseException as error:
            return error.smtp_code, error.smtp_error


def cases(at, file, log, entry):
    failures = 0
    for message, kind, word in CASES:
        kept_before = pathlib.Path(file).read_bytes().count(END_OF_MAIL)
        log_before = pathlib.Path(log).stat().st_size
        code, text = send(at, message)
        said = pathlib.Path(log).read_bytes()[log_before:].decode(errors="replace")
        mails = pathlib.Path(file).read_bytes().split(END_OF_MAIL)[:-1][kept_before:]
        is_passed = len(mails) == 1 and f"checked by {entry}".encode() in mails[0]
        is_right = str(code)[0] == kind and word in said and (is_passed if kind == "2" else not mails)
        print(f"{entry}: {message['Subject']}: {code} {text.decode(errors='replace')}"
              f"{'' if is_right else ' - WRONG'}")
        failures += not is_right
    return 1 if failures else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sink", file]:
            sink(file)
        case ["cases", at, file, log, entry]:
            sys.exit(cases(at, file, log, entry))
        case _:
            sys.exit(__doc__)
