//! For other programs: a connection to one server that can be asked from many places at once.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::Failure;
use super::board::RETRIES;
use super::connection::{self, Ear, Told, Why};
use super::server::Server;
use super::session::Ended;
use super::settings::Settings;
use super::walk::{absolute, spool};
use super::work::{Source, Work};
use crate::verdict::Record;

/// A connection to a server. Its clones share it; each may be asked while others wait for their answers. It ends with the
/// last of them.
///
/// ```no_run
/// # async fn example() -> Result<(), vfind::client::Failure> {
/// use vfind::client::Connection;
/// use vfind::verdict::Verdict;
///
/// let connection = Connection::connect(&"127.0.0.1:8081".parse().unwrap()).await?;
/// let record = connection.scan_bytes("upload 7", b"any content").await?;
/// assert_eq!(record.verdict, Verdict::Clean);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connection {
    jobs: mpsc::UnboundedSender<Work>,
    shared: Arc<Shared>,
    test_signatures_only: bool,
    pause: Duration,
}

/// What those who ask share with the task that hears the answers.
#[derive(Debug)]
struct Shared {
    server: Server,
    /// Requests that the server takes now.
    slots: Semaphore,
    answers: Mutex<HashMap<u64, oneshot::Sender<Ended>>>,
    last_id: AtomicU64,
    /// Why there is no connection any more.
    why: Mutex<Option<Why>>,
}

impl Connection {
    /// Connects, within seconds, with the usual settings. Needs a tokio runtime, as all of this does; for programs
    /// without one there is [`blocking`](super::blocking).
    ///
    /// # Errors
    /// When no server answers, or it wants no requests.
    pub async fn connect(server: &Server) -> Result<Self, Failure> {
        Self::connect_with(server, Settings::default()).await
    }

    /// Connects with options and patience of one's own.
    ///
    /// # Errors
    /// As [`Connection::connect`]; and when the server refuses an option.
    pub async fn connect_with(server: &Server, settings: Settings) -> Result<Self, Failure> {
        let pause = settings.pause;
        let (jobs, queue) = mpsc::unbounded_channel();
        let (ear, mut told) = mpsc::channel(16);
        let ear = Ear {
            number: 0,
            queue: ear,
        };
        tokio::spawn(connection::run(server.clone(), settings, queue, ear));
        let shared = Arc::new(Shared {
            server: server.clone(),
            slots: Semaphore::new(0),
            answers: Mutex::default(),
            last_id: AtomicU64::new(0),
            why: Mutex::default(),
        });
        while let Some((_, told_now)) = told.recv().await {
            if let Told::Opened {
                test_signatures_only,
            } = told_now
            {
                tokio::spawn(listen(told, Arc::clone(&shared)));
                return Ok(Self {
                    jobs,
                    shared,
                    test_signatures_only,
                    pause,
                });
            }
            shared.hear(told_now);
        }
        Err(shared.failure())
    }

    /// True if the server said that it has no signatures but those for tests.
    pub fn has_test_signatures_only(&self) -> bool {
        self.test_signatures_only
    }

    /// Sends the content of a file of this machine.
    ///
    /// # Errors
    /// When the file cannot be opened or is none, or when the connection was lost before there was an answer.
    pub async fn scan_file(&self, path: impl AsRef<Path>) -> Result<Record, Failure> {
        let path = PathBuf::from(path.as_ref());
        let label = absolute(path.clone().into_os_string().into_vec());
        let (file, size) = blocking(move || open(&path)).await?;
        self.ask(label.into(), Source::File(Arc::new(file)), size)
            .await
    }

    /// Has the server open a file or folder of its machine by its absolute name.
    ///
    /// # Errors
    /// When the connection was lost before there was an answer.
    pub async fn scan_named(&self, path: impl AsRef<Path>) -> Result<Record, Failure> {
        let name = Bytes::copy_from_slice(path.as_ref().as_os_str().as_bytes());
        self.ask(name, Source::Name, 0).await
    }

    /// Sends all that a reader gives, under a name of one's own. It is kept in a temporary file, so that it may be of any
    /// size and can be sent again.
    ///
    /// # Errors
    /// When it cannot be read or kept, or when the connection was lost before there was an answer.
    pub async fn scan_reader(
        &self,
        label: &str,
        mut content: impl Read + Send + 'static,
    ) -> Result<Record, Failure> {
        let (file, size) = blocking(move || spool(&mut content)).await?;
        let label = Bytes::copy_from_slice(label.as_bytes());
        self.ask(label, Source::Stream(file), size).await
    }

    /// Sends these bytes, under a name of one's own.
    ///
    /// # Errors
    /// As [`Connection::scan_reader`].
    pub async fn scan_bytes(&self, label: &str, content: &[u8]) -> Result<Record, Failure> {
        let content = io::Cursor::new(content.to_vec());
        self.scan_reader(label, content).await
    }

    async fn ask(&self, label: Bytes, source: Source, size: u64) -> Result<Record, Failure> {
        let mut retries = 0;
        loop {
            let work = Work {
                id: 1 + self.shared.last_id.fetch_add(1, Ordering::Relaxed),
                label: label.clone(),
                source: source.clone(),
                size,
            };
            let ended = self.ask_once(work).await?;
            if !ended.again || retries == RETRIES {
                return Ok(*ended.record);
            }
            tokio::time::sleep(self.pause * 4_u32.pow(retries)).await;
            retries += 1;
        }
    }

    async fn ask_once(&self, work: Work) -> Result<Ended, Failure> {
        match self.shared.slots.acquire().await {
            // The connection gives a new one when the server takes more.
            Ok(slot) => slot.forget(),
            Err(_) => return Err(self.shared.failure()),
        }
        let (sender, answer) = oneshot::channel();
        let id = work.id;
        self.shared.answers().insert(id, sender);
        if self.jobs.send(work).is_err() {
            self.shared.answers().remove(&id);
            return Err(self.shared.failure());
        }
        answer.await.map_err(|_| self.shared.failure())
    }
}

async fn listen(mut told: mpsc::Receiver<(usize, Told)>, shared: Arc<Shared>) {
    while let Some((_, told)) = told.recv().await {
        shared.hear(told);
    }
    // Nothing more is heard: who waits is told so by the end of the channel.
    shared.slots.close();
    shared.answers().clear();
}

impl Shared {
    fn answers(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Ended>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, told: Told) {
        match told {
            Told::Closed(closed) => {
                let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
                *why = Some(closed.why);
            }
            Told::Ended(ended) => {
                let answer = self.answers().remove(&ended.id);
                // Who asked may have gone.
                let _ = answer.map(|answer| answer.send(ended));
            }
            Told::Slots(more) => self.slots.add_permits(more),
            Told::Begun(_) | Told::Opened { .. } | Told::Warning(_) => {}
        }
    }

    fn failure(&self) -> Failure {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        let server = &self.server;
        match why.clone().unwrap_or(Why::Quit) {
            Why::Lost(why) => Failure::Lost(format!("{server}: connection lost: {why}")),
            Why::NoServer(why) => Failure::NoServer(format!("{server}: no server: {why}")),
            Why::Option(why) => Failure::Option(server.to_string(), why),
            Why::Quit => Failure::Lost(format!("{server}: the connection has ended")),
            Why::Refused(why) => Failure::NoServer(format!("{server}: takes no requests: {why}")),
        }
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    // Asked first: to open a pipe is to wait for somebody who writes.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    Ok(spawn_blocking(work).await.map_err(io::Error::other)??)
}
