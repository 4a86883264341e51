//! What the owner of a daemon tells it: at a socket of the file system, one line with a word, then an answer in text up to the
//! end of the connection. Its first line is `OK` or `REFUSED`.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net as blocking;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::Shared;
use super::local::{LocalSocket, is_owner};
use super::metrics::metrics;
use super::reload::{reload, rollback};
use crate::database::Live;

/// What a daemon can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The names of its signatures.
    List,
    /// Say what it has counted, for those who watch it.
    Metrics,
    /// Load the signatures anew.
    Reload,
    /// Use the signatures from before.
    Rollback,
    /// Say which signatures are in use, and what became of the last reload.
    Status,
}

const WORDS: [(&str, Word); 5] = [
    ("list", Word::List),
    ("metrics", Word::Metrics),
    ("reload", Word::Reload),
    ("rollback", Word::Rollback),
    ("status", Word::Status),
];

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, word)| *word).ok_or_else(|| {
            let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
            format!("'{text}' is none of {}", words.join(", "))
        })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = WORDS.iter().find(|(_, word)| word == self);
        f.write_str(found.map_or("", |(word, _)| word))
    }
}

/// Those that a daemon listens to at once; others wait until one has its answer.
const LISTENED_TO: usize = 8;

/// How long somebody may take to say a word, or to read a piece of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest line, in bytes.
const LINE: usize = 64;

/// Names are sent in pieces of about this many bytes.
const PIECE: usize = 64 * 1024;

/// The socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct Control(LocalSocket);

impl Control {
    /// Listens there. Only the owner may connect; what a daemon that was killed has left is replaced.
    ///
    /// # Errors
    /// For people: somebody listens there already, or the system's reason.
    pub fn bind(path: &Path) -> Result<Self, String> {
        // Who came before the permissions is looked at like all others.
        let bound = LocalSocket::bind(path, 0o600);
        let bound = bound.map_err(|error| format!("--control={}: {error}", path.display()));
        bound.map(Self)
    }

    /// Gives the socket to another user, whom the daemon becomes.
    ///
    /// # Errors
    /// For people: the system's reason.
    pub fn give_to(&self, uid: u32, gid: u32) -> Result<(), String> {
        let given = self.0.give_to(Some(uid), Some(gid));
        given.map_err(|error| format!("--control={}: {error}", self.0.path().display()))
    }

    /// Answers for ever.
    pub async fn serve(self, shared: Arc<Shared>) {
        let listener = match self.0.listener() {
            Ok(listener) => listener,
            Err(error) => {
                error!(%error, "nobody can tell this daemon anything");
                return;
            }
        };
        let mut talks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if talks.len() < LISTENED_TO => match accepted {
                    Ok((stream, _)) => {
                        talks.spawn(talk(stream, Arc::clone(&shared)));
                    }
                    Err(error) => {
                        warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = talks.join_next() => {}
            }
        }
    }
}

/// One word and its answer. A peer that is not there any more misses it.
async fn talk(mut stream: UnixStream, shared: Arc<Shared>) {
    let live = Arc::clone(&shared.live);
    match is_owner(&stream) {
        Ok((_, true)) => {}
        Ok((user, false)) => {
            warn!(user, "denied at the control socket");
            return;
        }
        Err(_) => return,
    }
    let Ok(Ok(line)) = tokio::time::timeout(PATIENCE, line(&mut stream)).await else {
        return;
    };
    let _ = match line.parse() {
        Ok(Word::List) => names(&mut stream, live).await,
        Ok(Word::Metrics) => {
            let told = tokio::task::spawn_blocking(move || metrics(&shared)).await;
            let text = told.unwrap_or_default();
            write(&mut stream, format!("OK\n{text}").as_bytes()).await
        }
        Ok(word) => {
            info!(%word, "told at the control socket");
            let answer = answer(word, &live).await;
            write(&mut stream, answer.as_bytes()).await
        }
        Err(problem) => write(&mut stream, format!("REFUSED\n{problem}\n").as_bytes()).await,
    };
    let _ = stream.shutdown().await;
}

async fn line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LINE && !line.ends_with(b"\n") {
        line.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&line).trim_ascii().to_owned())
}

async fn answer(word: Word, live: &Arc<Live>) -> String {
    let result = match word {
        Word::Reload => reload(live).await,
        Word::Rollback => rollback(live).await,
        Word::Status | Word::List | Word::Metrics => Ok(()),
    };
    // It asks the file system whether there is a way back.
    let asked = Arc::clone(live);
    let status = tokio::task::spawn_blocking(move || asked.status().to_string()).await;
    let status = status.unwrap_or_default();
    match result {
        Ok(()) => format!("OK\n{status}"),
        Err(why) => format!("REFUSED\n{why}\n{status}"),
    }
}

async fn names(stream: &mut UnixStream, live: Arc<Live>) -> io::Result<()> {
    let (sender, mut pieces) = tokio::sync::mpsc::channel(2);
    let gathering = tokio::task::spawn_blocking(move || {
        let mut piece = String::from("OK\n");
        for name in live.current().database.names() {
            piece.push_str(&name.to_string());
            piece.push('\n');
            if piece.len() >= PIECE && sender.blocking_send(std::mem::take(&mut piece)).is_err() {
                return;
            }
        }
        // Nobody reads any more: the same as above.
        let _ = sender.blocking_send(piece);
    });
    while let Some(piece) = pieces.recv().await {
        write(stream, piece.as_bytes()).await?;
    }
    gathering.await.map_err(io::Error::other)
}

async fn write(stream: &mut UnixStream, bytes: &[u8]) -> io::Result<()> {
    tokio::time::timeout(PATIENCE, stream.write_all(bytes))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Tells the daemon at this socket a word and writes what it answers, without its first line. True if it did what it was told.
///
/// # Errors
/// For people: nobody listens there, the answer is not whole or cannot be written.
pub fn tell(path: &Path, word: Word, out: &mut impl Write) -> Result<bool, String> {
    let failed = |error: io::Error| format!("--control={}: {error}", path.display());
    let mut stream = blocking::UnixStream::connect(path).map_err(failed)?;
    writeln!(stream, "{word}").map_err(failed)?;
    let mut first = Vec::new();
    while !first.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(failed)?;
        first.extend(byte);
        if first.len() > LINE {
            return Err(failed(io::Error::other(
                "no daemon of this kind answers there",
            )));
        }
    }
    match io::copy(&mut stream, out).and_then(|_| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        copied => copied.map_err(failed)?,
    }
    Ok(first == b"OK\n")
}
