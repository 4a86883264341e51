//! Python's libraries for clamd.

use std::process::Command;

use super::support::{NAME, Scanner, contents, has_programs, installed};
use crate::support::{out, said};

/// What each library says of each content: as a file that the daemon reads, and as a stream.
const ASK: &str = r#"
import asyncio, sys
import aioclamd, clamd, clamav_client
socket, port, folder = sys.argv[1:]
sys.path += ["/usr/lib/python3/dist-packages"]
import pyclamd

def caught(ask, *what):
    try:
        return ask(*what)
    except Exception as error:
        return type(error).__name__

def told(result):
    "One line whatever the library calls it, without the names of files, and of an error its first word."
    if isinstance(result, dict):
        (result,) = result.values()
    return " ".join(str(word).split(" ")[0] for word in result) if isinstance(result, tuple) else str(result)

def opened(ask):
    return lambda path: ask(open(path, "rb"))

asynchronous = aioclamd.ClamdAsyncClient("127.0.0.1", int(port), timeout=20)
by_path, by_stream = ({"backend": "clamd", "address": socket, "stream": stream} for stream in (False, True))
libraries = {}
for client in (clamd.ClamdUnixSocket(socket), clamd.ClamdNetworkSocket("127.0.0.1", int(port))):
    assert client.ping() == "PONG" and client.version().startswith("ClamAV 1.4.6")
    libraries.setdefault("clamd", []).append((client.scan, opened(client.instream)))
    libraries["clamd"].append((client.multiscan, opened(client.instream)))
libraries["aioclamd"] = [(
    lambda path: asyncio.run(asynchronous.scan(path)),
    opened(lambda file: asyncio.run(asynchronous.instream(file))),
)]
libraries["clamav-client"] = [tuple(
    lambda path, scanner=clamav_client.get_scanner(settings): scanner.scan(path).passed
    for settings in (by_path, by_stream)
)]
for client in (pyclamd.ClamdUnixSocket(socket), pyclamd.ClamdNetworkSocket("127.0.0.1", int(port))):
    libraries.setdefault("pyclamd", []).append((client.scan_file, opened(client.scan_stream)))
for library, ways in libraries.items():
    for content in ("clean", "infected", "encrypted", "large"):
        lines = {tuple(told(caught(ask, f"{folder}/{content}")) for ask in way) for way in ways}
        for file, stream in lines:
            print(library, content, "|", file, "|", stream)
"#;

#[test]
fn pythons_libraries_tell_what_is_infected_or_was_not_examined() {
    let python = installed("python/bin/python");
    if !has_programs(&[&python, "/usr/lib/python3/dist-packages/pyclamd/pyclamd.py"]) {
        return;
    }
    let scanner = Scanner::small(&[]);
    for (name, content) in contents().files() {
        scanner.write(name, content);
    }
    let mut ask = Command::new(python);
    ask.args(["-c", ASK]).arg(scanner.socket());
    ask.arg(scanner.port().to_string());
    let asked = ask.arg(scanner.path("")).output().unwrap();
    let expected = format!(
        "clamd clean | OK None | OK None\n\
         clamd infected | FOUND {NAME} | FOUND {NAME}\n\
         clamd encrypted | OK None | OK None\n\
         clamd large | ERROR limit/expanded | BufferTooLongError\n\
         aioclamd clean | OK None | OK None\n\
         aioclamd infected | FOUND {NAME} | FOUND {NAME}\n\
         aioclamd encrypted | OK None | OK None\n\
         aioclamd large | ERROR limit/expanded | BufferTooLongError\n\
         clamav-client clean | True | True\n\
         clamav-client infected | False | False\n\
         clamav-client encrypted | True | True\n\
         clamav-client large | False | None\n\
         pyclamd clean | None | None\n\
         pyclamd infected | FOUND {NAME} | FOUND {NAME}\n\
         pyclamd encrypted | None | None\n\
         pyclamd large | ERROR limit/expanded | BufferTooLongError\n"
    );
    assert_eq!(out(&asked), expected, "{}", said(&asked));
}
