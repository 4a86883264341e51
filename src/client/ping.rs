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

/// Connects, sees whether the server takes requests, and takes leave. Of the settings, those count that say
/// how patient one is, and who asks.
///
/// # Errors
/// Why it does not, in words.
pub async fn ping(server: &Server, settings: &Settings) -> Result<Pong, String> {
    let started = Instant::now();
    let (queue, mut told) = mpsc::channel(16);
    // Nothing is asked, so the connection ends as soon as it could be.
    let (_, jobs) = mpsc::unbounded_channel();
    let ear = Ear { number: 0, queue };
    let mut task = JoinSet::new();
    task.spawn(connection::run(
        server.clone(),
        Settings {
            timeout: settings.timeout,
            token: settings.token.clone(),
            ..Settings::default()
        },
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

/// Waits until one of the servers takes requests, at most for `time`. The settings are those of [`ping`].
///
/// # Errors
/// None did in this time: each server with the last reason, in words.
pub async fn wait_for(
    servers: &[Server],
    time: Duration,
    settings: &Settings,
) -> Result<(), String> {
    let mut whys: Vec<_> = servers.iter().map(|_| NO_ANSWER.to_owned()).collect();
    if timeout(time, one_of(servers, settings, &mut whys))
        .await
        .is_ok()
    {
        return Ok(());
    }
    let whys = servers.iter().zip(whys);
    let whys: Vec<_> = whys
        .map(|(server, why)| format!("{server}: {why}"))
        .collect();
    Err(whys.join("; "))
}

/// Why there is no answer from a server that has not given any.
const NO_ANSWER: &str = "no answer in time";

async fn one_of(servers: &[Server], settings: &Settings, whys: &mut [String]) {
    loop {
        let mut pings = JoinSet::new();
        for (number, server) in servers.iter().cloned().enumerate() {
            let settings = settings.clone();
            pings.spawn(async move { (number, ping(&server, &settings).await) });
        }
        while let Some(answer) = pings.join_next().await {
            match answer {
                Ok((_, Ok(_))) => return,
                Ok((number, Err(why))) => {
                    if let Some(last) = whys.get_mut(number) {
                        *last = why;
                    }
                }
                // A task of ours that failed says nothing about the server.
                Err(_) => {}
            }
        }
        sleep(PAUSE).await;
    }
}
