//! Whether servers are there.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{self, Ear, Told, Why};
use super::server::Server;
use super::settings::Settings;

/// The pause between two rounds of waiting.
const PAUSE: Duration = Duration::from_millis(200);

/// A server that answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// It has no signatures but those for tests.
    pub test_signatures_only: bool,
    /// From the start of the connection until it took requests.
    pub took: Duration,
}

/// Connects, sees whether the server takes requests, and takes leave.
///
/// # Errors
/// Why it does not, in words.
pub async fn ping(server: &Server) -> Result<Pong, String> {
    let started = Instant::now();
    let (queue, mut told) = mpsc::channel(16);
    // Nothing is asked, so the connection ends as soon as it could be.
    let (_, jobs) = mpsc::unbounded_channel();
    let ear = Ear { number: 0, queue };
    let mut task = JoinSet::new();
    task.spawn(connection::run(
        server.clone(),
        Settings::default(),
        jobs,
        ear,
    ));
    let mut pong = Err("no answer".to_owned());
    while let Some((_, told)) = told.recv().await {
        match told {
            Told::Opened {
                test_signatures_only,
            } => {
                pong = Ok(Pong {
                    test_signatures_only,
                    took: started.elapsed(),
                });
            }
            Told::Closed(closed) => match closed.why {
                Why::Lost(why) => pong = Err(format!("connection lost: {why}")),
                Why::NoServer(why) => pong = Err(format!("no server: {why}")),
                Why::Option(why) | Why::Refused(why) => {
                    pong = Err(format!("takes no requests: {why}"));
                }
                Why::Quit => {}
            },
            Told::Begun(_) | Told::Ended(_) | Told::Slots(_) | Told::Warning(_) => {}
        }
    }
    pong
}

/// Waits until one of the servers takes requests; false if none did in this time.
pub async fn wait_for(servers: &[Server], patience: Duration) -> bool {
    timeout(patience, one_of(servers)).await.is_ok()
}

async fn one_of(servers: &[Server]) {
    loop {
        let mut pings = JoinSet::new();
        for server in servers {
            let server = server.clone();
            pings.spawn(async move { ping(&server).await.is_ok() });
        }
        while let Some(answer) = pings.join_next().await {
            if answer.unwrap_or(false) {
                return;
            }
        }
        sleep(PAUSE).await;
    }
}
