//! New signatures while the daemon runs: loaded at a wish or when their files change, and what came of it said in the log.
#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, channel};
use tracing::{error, info, warn};

use crate::database::watch::Watch;
use crate::database::{Live, Reloaded};

/// How long files must stay as they are before they are loaded: several may come one after the other.
const STILL: Duration = Duration::from_secs(1);

/// How often is looked without notice: a folder may be on another machine, or have been exchanged as a whole.
const LOOK: Duration = Duration::from_secs(60);

/// Loads the signatures anew, and says what came of it. Running items keep the ones that they started with.
///
/// # Errors
/// For people: why the signatures stay as they were.
pub async fn reload(live: &Arc<Live>) -> Result<(), String> {
    let own = Arc::clone(live);
    let loaded = tokio::task::spawn_blocking(move || own.reload()).await;
    let current = live.current();
    let signatures = current.database.count();
    let refused = match loaded {
        Ok(Ok(Reloaded::New(epoch))) => {
            info!(%epoch, signatures, "signatures reloaded");
            return Ok(());
        }
        Ok(Ok(Reloaded::Same(epoch))) => {
            info!(%epoch, signatures, "signatures not reloaded: none has changed");
            return Ok(());
        }
        Ok(Err(refused)) => (refused.in_one_line(), refused.to_string()),
        Err(panicked) => (panicked.to_string(), panicked.to_string()),
    };
    let (line, refused) = refused;
    error!(epoch = %current.epoch, "reload refused, the signatures stay as they were: {line}");
    Err(refused)
}

/// Puts the signatures to use that were in use before, and says what came of it.
///
/// # Errors
/// For people: why the signatures stay as they are.
pub(super) async fn rollback(live: &Arc<Live>) -> Result<(), String> {
    let own = Arc::clone(live);
    let done = tokio::task::spawn_blocking(move || own.rollback()).await;
    let current = live.current();
    let refused = match done {
        Ok(Ok(epoch)) => {
            let signatures = current.database.count();
            warn!(%epoch, signatures, "the signatures from before are in use again");
            return Ok(());
        }
        Ok(Err(refused)) => refused.to_string(),
        Err(panicked) => panicked.to_string(),
    };
    error!(epoch = %current.epoch, "no rollback, the signatures stay as they are: {refused}");
    Err(refused)
}

/// Loads the signatures anew whenever a file of theirs has changed, for ever.
pub async fn watch(live: Arc<Live>) {
    let watching = Watch::new().and_then(notices);
    if let Err(error) = &watching {
        warn!(%error, "no notice of changes; the files are looked at every {} s", LOOK.as_secs());
    }
    let (watch, mut notices) = watching.ok().unzip();
    let mut told = Vec::new();
    loop {
        if let Some(watch) = &watch {
            // Before each look, so that nothing happens between a look and the notice.
            follow(&live, watch, &mut told).await;
        }
        if asked(&live, |live| live.has_changed()).await {
            settled(&live).await;
            // The reason is in the log, and the status has it.
            let _ = reload(&live).await;
            continue;
        }
        tokio::select! {
            () = noticed(notices.as_mut()) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Asks what reads the file system, on a thread for that. A panic is no change.
async fn asked<T: Default + Send + 'static>(
    live: &Arc<Live>,
    question: impl FnOnce(&Live) -> T + Send + 'static,
) -> T {
    let live = Arc::clone(live);
    let answer = tokio::task::spawn_blocking(move || question(&live)).await;
    answer.unwrap_or_default()
}

/// Watches the folders that there are now; says once of each why it cannot.
async fn follow(live: &Arc<Live>, watch: &Watch, told: &mut Vec<PathBuf>) {
    let folders = asked(live, Live::folders).await;
    for (folder, error) in watch.add(&folders) {
        if !told.contains(&folder) {
            let seconds = LOOK.as_secs();
            warn!(folder = %folder.display(), %error, "not watched, but looked at every {seconds} s");
            told.push(folder);
        }
    }
}

/// Waits for notices on a thread of its own, which ends with the process, or when nobody wants them any more.
fn notices(watch: Watch) -> io::Result<(Arc<Watch>, Receiver<()>)> {
    let watch = Arc::new(watch);
    // One is as good as many.
    let (sender, notices) = channel(1);
    let own = Arc::clone(&watch);
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || {
            while own.wait().is_ok() {
                if let Err(TrySendError::Closed(())) = sender.try_send(()) {
                    return;
                }
            }
        })?;
    Ok((watch, notices))
}

/// Completes when something has happened in a folder.
async fn noticed(notices: Option<&mut Receiver<()>>) {
    if let Some(notices) = notices
        && notices.recv().await.is_some()
    {
        return;
    }
    // The thread has ended, or never was; there is the look now and then.
    std::future::pending().await
}

/// Completes when the files have stayed as they are for a while.
async fn settled(live: &Arc<Live>) {
    let mut before = asked(live, |live| Some(live.snapshot())).await;
    loop {
        tokio::time::sleep(STILL).await;
        let now = asked(live, |live| Some(live.snapshot())).await;
        if now == before {
            return;
        }
        before = now;
    }
}
