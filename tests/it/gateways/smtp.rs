//! What is before and behind a mail program: somebody who sends it mails, and a next hop that keeps what is handed on.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::support::{Contents, awaited};
use crate::support::PATIENCE;

/// A mail with an attachment. Its words open no archive.
pub fn mail(subject: &str, attached: &[u8]) -> String {
    let attached = data_encoding::BASE64_MIME.encode(attached);
    format!(
        "From: sender@example.org\r\nTo: receiver@example.org\r\nSubject: {subject}\r\nDate: Mon, 02 Jan 2012 12:00:00 +0000\r\n\
         Message-ID: <{subject}@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/plain\r\n\r\nGood morning\r\n\
         --x\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=letters.zip\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{attached}\r\n--x--\r\n"
    )
}

/// Sends a mail to this port of loopback and gives the reply to its content, or the one that refused it before.
pub fn send(port: u16, mail: &str) -> String {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let data = format!("{mail}.\r\n");
    let mut reply = reply_of(&mut replies);
    for command in [
        "EHLO localhost\r\n",
        "MAIL FROM:<sender@example.org>\r\n",
        "RCPT TO:<receiver@example.org>\r\n",
        "DATA\r\n",
        &data,
    ] {
        if !reply.starts_with(['2', '3']) {
            return reply;
        }
        (&stream).write_all(command.as_bytes()).unwrap();
        reply = reply_of(&mut replies);
    }
    (&stream).write_all(b"QUIT\r\n").unwrap();
    reply
}

/// The last line of a reply.
fn reply_of(replies: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        replies.read_line(&mut line).unwrap();
        if line.as_bytes().get(3) != Some(&b'-') {
            return line.trim_end().to_owned();
        }
    }
}

/// A next hop on loopback, and the mails that it was handed.
pub struct Sink {
    pub port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || take(&stream, &kept));
            }
        });
        Self { port, mails }
    }

    /// The header of the mail with this subject, once it has come.
    fn header(&self, subject: &str) -> String {
        let line = format!("Subject: {subject}\r\n");
        let mail = awaited(&line, || {
            let mails = self.mails.lock().unwrap();
            mails.iter().find(|mail| mail.contains(&line)).cloned()
        });
        mail.split("\r\n\r\n").next().unwrap().to_owned()
    }
}

/// One conversation, until the other side is gone.
fn take(mut stream: &TcpStream, kept: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    let mut reply = "220 sink.example.org ESMTP\r\n";
    while stream.write_all(reply.as_bytes()).is_ok() {
        line.clear();
        if !lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            return;
        }
        reply = "250 2.0.0 fine\r\n";
        if line.to_ascii_uppercase().starts_with(b"DATA") {
            let _ = stream.write_all(b"354 go on\r\n");
            let mut mail = Vec::new();
            while !mail.ends_with(b"\r\n.\r\n") {
                if !lines
                    .read_until(b'\n', &mut mail)
                    .is_ok_and(|length| length > 0)
                {
                    return;
                }
            }
            let mail = String::from_utf8_lossy(&mail).into_owned();
            kept.lock().unwrap().push(mail);
        }
    }
}

/// What a user gets for a content: the start of the reply to his mail, and, if it is handed on, what its header holds.
pub type Gets<'a> = (&'a str, Option<&'a str>);

/// What users get for each of the contents.
pub struct Expected<'a> {
    pub clean: Gets<'a>,
    pub infected: Gets<'a>,
    pub encrypted: Gets<'a>,
    pub large: Gets<'a>,
}

impl Expected<'_> {
    /// Sends the contents as mails to this port, behind which `sink` is.
    pub fn check(&self, port: u16, sink: &Sink, contents: &Contents) {
        let rows = [
            ("infected", &contents.infected, self.infected),
            ("large", &contents.large, self.large),
            ("encrypted", &contents.encrypted, self.encrypted),
            ("clean", &contents.clean, self.clean),
        ];
        sink.mails.lock().unwrap().clear();
        let mut passed = 0;
        for (subject, content, (expected, header)) in rows {
            let reply = send(port, &mail(subject, content));
            assert!(reply.starts_with(expected), "{subject}: {reply}");
            if let Some(part) = header {
                passed += 1;
                let whole = sink.header(subject);
                assert!(whole.contains(part), "{subject}: {whole}");
            }
        }
        // The last is clean, and what was sent before it would have come before it.
        let mails = sink.mails.lock().unwrap();
        assert_eq!(mails.len(), passed, "{mails:?}");
    }
}
