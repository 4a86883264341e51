//! Node's libraries for clamd.

use std::process::Command;

use super::support::{NAME, Scanner, contents, has_programs, installed};
use crate::support::{out, said};

/// What each library says of each content: as a file, and as a stream or buffer.
const ASK: &str = r#"
const fs = require("fs");
const NodeClam = require("clamscan");
const clamdjs = require("clamdjs");
const [socket, port, configuration, folder] = process.argv.slice(1);
const host = "127.0.0.1";
const ways = {
  socket: {clamdscan: {socket, localFallback: false}},
  port: {clamdscan: {host, port: Number(port), localFallback: false}},
  clamdscan: {clamdscan: {path: "/usr/bin/clamdscan", configFile: configuration}, clamscan: {active: false}},
};
const told = ({isInfected, viruses}) => [isInfected, ...viruses].join(" ");
const caught = (ask) => Promise.resolve().then(ask).catch(() => "rejected");
// Whether it is told or thrown that a stream is too large hangs on who is faster.
const isClean = (ask) => ask().then(clamdjs.isCleanReply, () => false);
(async () => {
  for (const [way, options] of Object.entries(ways)) {
    const scanner = await new NodeClam().init(options);
    for (const content of ["clean", "infected", "encrypted", "large"]) {
      const path = `${folder}/${content}`;
      const file = await caught(async () => told(await scanner.isInfected(path)));
      const stream = way == "clamdscan" ? "-" : await caught(async () => told(await scanner.scanStream(fs.createReadStream(path))));
      console.log(`clamscan ${way} ${content} | ${file} | ${stream}`);
    }
  }
  const scanner = clamdjs.createScanner(host, Number(port));
  for (const content of ["clean", "infected", "encrypted", "large"]) {
    const path = `${folder}/${content}`;
    const file = await isClean(() => scanner.scanFile(path, 20000));
    const stream = await isClean(() => scanner.scanBuffer(fs.readFileSync(path), 20000));
    console.log(`clamdjs ${content} | ${file} | ${stream}`);
  }
})();
"#;

#[test]
fn nodes_libraries_tell_what_is_infected_or_was_not_examined() {
    let modules = installed("node/node_modules");
    if !has_programs(&[
        &format!("{modules}/clamscan"),
        &format!("{modules}/clamdjs"),
        "/usr/bin/node",
        "/usr/bin/clamdscan",
    ]) {
        return;
    }
    let scanner = Scanner::small(&[]);
    for (name, content) in contents().files() {
        scanner.write(name, content);
    }
    let socket = scanner.socket();
    let text = format!("LocalSocket {}\n", socket.display());
    let configuration = scanner.write("clamd.conf", text);
    let mut ask = Command::new("timeout");
    ask.args(["60", "node", "-e", ASK]).arg(socket);
    ask.arg(scanner.port().to_string()).arg(configuration);
    ask.arg(scanner.path("")).env("NODE_PATH", modules);
    let asked = ask.output().unwrap();
    let mut expected = String::new();
    for way in ["socket", "port", "clamdscan"] {
        for (content, says) in [
            ("clean", "false".to_owned()),
            ("infected", format!("true {NAME}")),
            ("encrypted", "false".to_owned()),
            ("large", "rejected".to_owned()),
        ] {
            let stream = if way == "clamdscan" { "-" } else { &says };
            expected += &format!("clamscan {way} {content} | {says} | {stream}\n");
        }
    }
    expected += "clamdjs clean | true | true\nclamdjs infected | false | false\n\
                 clamdjs encrypted | true | true\nclamdjs large | false | false\n";
    assert_eq!(out(&asked), expected, "{}", said(&asked));
}
