//! A whole run: what the user named through all servers, each piece with exactly one record.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::board::{Board, Done, lost_record};
use super::clock::Clock;
use super::connection::{self, Closed, Ear, Told, Why};
use super::progress::Progress;
use super::server::Server;
use super::settings::Settings;
use super::walk::{Counts, Found, Targets, count, walk};
use super::work::Work;
use super::{Failure, Watch};
use crate::verdict::{Exit, Record};

/// How often, at least, it is looked whether a lost server is back, and progress shown while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// The pause before a server is tried again.
const PAUSE: Duration = Duration::from_secs(3);

/// The time for all farewells. All answers are there.
const FAREWELL: Duration = Duration::from_secs(2);

/// What servers tell that is not heard yet; they wait when it is more.
const HEARD: usize = 64;

/// Open files that wait for a server, beside those that are on their way.
const FOUND: usize = 16;

/// Requests in flight to all servers together: each may hold a file and a socket here, of which a program has 1,024.
const IN_FLIGHT: usize = 256;

/// What `vfindc` is asked to do.
#[derive(Debug)]
pub struct Plan {
    /// Who scans; at least one.
    pub servers: Vec<Server>,
    /// How they are spoken with.
    pub settings: Settings,
    /// What is scanned.
    pub targets: Targets,
}

/// Has servers scan what the plan names. Each file, or each name that a server walks itself, gets exactly one record.
///
/// # Errors
/// When no server takes requests at all, or one refuses an option: nothing is recorded then. Or when `watch` fails.
pub async fn run(mut plan: Plan, watch: &mut dyn Watch) -> Result<Exit, Failure> {
    let share = IN_FLIGHT / plan.servers.len().max(1);
    plan.settings.window = plan.settings.window.min(share).max(1);
    let (out, found) = mpsc::channel(FOUND);
    let (ear, mut told) = mpsc::channel(HEARD);
    let mut run = Run::new(plan.servers, plan.settings, ear, watch);
    let mut walking = Walking {
        start: Some((plan.targets, out)),
        counts: run.watch.wants_total().then(Arc::default),
        found,
        ended: false,
    };
    for server in 0..run.lanes.len() {
        run.open(server);
    }
    let mut tick = interval(run.settings.pause.clamp(Duration::from_millis(1), TICK));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !(walking.ended && run.board.is_idle()) {
        tokio::select! {
            Some((server, told)) = told.recv() => run.told(server, told)?,
            found = walking.found.recv(), if walking.is_wanted(&run) => match found {
                Some(found) => run.found(found)?,
                None => walking.ended = true,
            },
            _ = tick.tick() => run.tick(),
        }
        if run.has_served {
            walking.begin()?;
        }
        walking.known(&mut run);
        run.settle()?;
    }
    drop(told);
    run.farewell().await;
    match run.nothing {
        // After all that was named otherwise.
        Some(why) => Err(io::Error::other(why).into()),
        None => Ok(run.exit),
    }
}

/// The thread that finds the work, once a server is there to take it.
struct Walking {
    start: Option<(Targets, mpsc::Sender<Found>)>,
    counts: Option<Arc<Counts>>,
    found: mpsc::Receiver<Found>,
    ended: bool,
}

impl Walking {
    fn is_wanted(&self, run: &Run<'_>) -> bool {
        !self.ended && (run.lost.is_some() || run.board.wants_work())
    }

    fn begin(&mut self) -> io::Result<()> {
        let Some((targets, out)) = self.start.take() else {
            return Ok(());
        };
        if let Some(counts) = self.counts.clone() {
            let targets = targets.clone();
            let counting = Builder::new().name("count".to_owned());
            counting.spawn(move || count(&targets, counts))?;
        }
        let walking = Builder::new().name("walk".to_owned());
        walking.spawn(move || walk(&targets, &mut io::stdin().lock(), out))?;
        Ok(())
    }

    /// Tells what is known: what was found, or what will be, as far as it is counted.
    fn known(&self, run: &mut Run<'_>) {
        let (mut records, mut bytes) = (run.known.records, run.known.bytes);
        let mut complete = self.ended;
        if let Some(counts) = self.counts.as_ref().filter(|_| !self.ended) {
            let counted = counts.now();
            records = records.max(counted.0);
            bytes = bytes.max(counted.1);
            complete |= counted.2;
        }
        run.progress.known = records;
        run.progress.known_bytes = bytes;
        run.progress.all_known = complete;
    }
}

struct Run<'a> {
    servers: Vec<Server>,
    settings: Settings,
    lanes: Vec<Lane>,
    board: Board,
    ear: mpsc::Sender<(usize, Told)>,
    tasks: JoinSet<()>,
    watch: &'a mut dyn Watch,
    clock: Clock,
    progress: Progress,
    known: Known,
    exit: Exit,
    /// A server has taken requests.
    has_served: bool,
    /// Nobody is left, and why.
    lost: Option<String>,
    /// Names were to come, and none did: why that is wrong.
    nothing: Option<&'static str>,
}

/// What the walk has found.
#[derive(Default)]
struct Known {
    records: u64,
    bytes: u64,
}

/// What is known of one server.
#[derive(Default)]
struct Lane {
    state: State,
    /// Something came of the connection: another one may bring more.
    useful: bool,
    /// The user knows that it is not there, and why.
    warned: bool,
    /// Why it was not there at last.
    why: String,
    told_tests_only: bool,
}

enum State {
    /// Not there, and not tried before this time.
    Down(Instant),
    Open(mpsc::UnboundedSender<Work>),
    Opening(mpsc::UnboundedSender<Work>, AbortHandle),
}

impl Default for State {
    fn default() -> Self {
        Self::Down(Instant::now())
    }
}

impl<'a> Run<'a> {
    fn new(
        servers: Vec<Server>,
        settings: Settings,
        ear: mpsc::Sender<(usize, Told)>,
        watch: &'a mut dyn Watch,
    ) -> Self {
        Self {
            lanes: servers.iter().map(|_| Lane::default()).collect(),
            board: Board::new(servers.len()),
            servers,
            settings,
            ear,
            tasks: JoinSet::new(),
            watch,
            clock: Clock::start(),
            progress: Progress::default(),
            known: Known::default(),
            exit: Exit::Clean,
            has_served: false,
            lost: None,
            nothing: None,
        }
    }

    fn open(&mut self, number: usize) {
        let (Some(server), Some(lane)) = (self.servers.get(number), self.lanes.get_mut(number))
        else {
            return;
        };
        let (jobs, queue) = mpsc::unbounded_channel();
        let ear = Ear {
            number,
            queue: self.ear.clone(),
        };
        let run = connection::run(server.clone(), self.settings.clone(), queue, ear);
        let task = self.tasks.spawn(run);
        lane.state = State::Opening(jobs, task);
        lane.useful = false;
    }

    fn told(&mut self, server: usize, told: Told) -> Result<(), Failure> {
        match told {
            Told::Begun(objects) => self.progress.objects += objects,
            Told::Closed(closed) => self.closed(server, closed)?,
            Told::Ended(ended) => {
                if let Some(lane) = self.lanes.get_mut(server) {
                    lane.useful = true;
                }
                if let Some(done) = self.board.ended(server, ended) {
                    self.done(&done)?;
                }
            }
            Told::Opened {
                test_signatures_only,
            } => self.opened(server, test_signatures_only),
            Told::Slots(more) => self.board.slots(server, more),
            Told::Warning(text) => self.warn(server, &text),
        }
        Ok(())
    }

    fn opened(&mut self, server: usize, test_signatures_only: bool) {
        let Some(lane) = self.lanes.get_mut(server) else {
            return;
        };
        if let State::Opening(jobs, _) = std::mem::take(&mut lane.state) {
            lane.state = State::Open(jobs);
        }
        lane.warned = false;
        let tell = test_signatures_only && !lane.told_tests_only;
        lane.told_tests_only |= tell;
        self.board.up(server);
        if tell {
            self.warn(server, "the server has test signatures only");
        }
        if !self.has_served {
            self.has_served = true;
            for server in 0..self.lanes.len() {
                self.warn_of_absence(server);
            }
        }
    }

    fn closed(&mut self, server: usize, closed: Closed) -> Result<(), Failure> {
        let is_asked = !closed.open.is_empty();
        for done in self.board.down(server, closed.open) {
            self.done(&done)?;
        }
        let Some(lane) = self.lanes.get_mut(server) else {
            return Ok(());
        };
        lane.state = State::Down(Instant::now() + PAUSE);
        let (why, is_lost) = match closed.why {
            Why::Lost(why) => (format!("connection lost: {why}"), true),
            Why::NoServer(why) => (format!("no server: {why}"), false),
            Why::Option(why) => {
                let server = self.servers.get(server).map(Server::to_string);
                return Err(Failure::Option(server.unwrap_or_default(), why));
            }
            Why::Quit => return Ok(()),
            Why::Refused(why) => (format!("takes no requests: {why}"), false),
        };
        lane.why = why;
        let again = is_lost && (lane.useful || is_asked);
        if self.has_served {
            self.warn_of_absence(server);
        }
        if again {
            // It was good for something, or what it died of is counted: each time brings the end nearer.
            self.open(server);
        }
        Ok(())
    }

    fn warn_of_absence(&mut self, server: usize) {
        let Some(lane) = self.lanes.get_mut(server) else {
            return;
        };
        if matches!(lane.state, State::Down(_)) && !lane.warned && !lane.why.is_empty() {
            lane.warned = true;
            let why = lane.why.clone();
            self.warn(server, &why);
        }
    }

    fn warn(&mut self, server: usize, text: &str) {
        if let Some(server) = self.servers.get(server) {
            self.watch.warning(&format!("{server}: {text}"));
        }
    }

    fn found(&mut self, found: Found) -> Result<(), Failure> {
        match found {
            Found::Nothing(why) => self.nothing = Some(why),
            Found::Left(record) => {
                self.known.records += 1;
                self.record(&record, None)?;
            }
            Found::Work(work) => {
                self.known.records += 1;
                self.known.bytes = self.known.bytes.saturating_add(work.size);
                match &self.lost {
                    Some(why) => {
                        let record = lost_record(&work, why, self.clock.now_ms());
                        self.done(&Done {
                            work,
                            record,
                            lost: true,
                        })?;
                    }
                    None => self.board.add(work),
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.board.tick();
        if !self.board.is_served() || self.board.is_idle() {
            return;
        }
        for server in 0..self.lanes.len() {
            let state = self.lanes.get(server).map(|lane| &lane.state);
            if matches!(state, Some(State::Down(until)) if Instant::now() >= *until) {
                self.open(server);
            }
        }
    }

    /// Hands over what can be handed over, and sees whether anybody is left.
    fn settle(&mut self) -> Result<(), Failure> {
        let is_down = |lane: &Lane| matches!(lane.state, State::Down(_));
        if self.lost.is_none() && self.lanes.iter().all(is_down) {
            self.give_up()?;
        }
        while let Some((server, work)) = self.board.assign() {
            if let Some(State::Open(jobs)) = self.lanes.get(server).map(|lane| &lane.state) {
                // One that has just ended takes nothing; its end is told, and then the work goes to another.
                let _ = jobs.send(work);
            }
        }
        self.watch.progress(self.progress);
        // What ended is collected by the way.
        while self.tasks.try_join_next().is_some() {}
        Ok(())
    }

    fn give_up(&mut self) -> Result<(), Failure> {
        let whys = self.servers.iter().zip(&self.lanes);
        let whys: Vec<_> = whys
            .map(|(server, lane)| format!("{server}: {}", lane.why))
            .collect();
        let why = whys.join("; ");
        if !self.has_served {
            return Err(Failure::NoServer(why));
        }
        for done in self.board.abandon(&why, self.clock.now_ms()) {
            self.done(&done)?;
        }
        self.lost = Some(why);
        Ok(())
    }

    fn done(&mut self, done: &Done) -> Result<(), Failure> {
        if done.lost {
            self.exit = self.exit.max(Exit::NoServer);
        }
        let matched = done.record.coverage.map_or(0, |counts| counts.bytes);
        let is_open = done.work.opened().is_some() || done.work.content().is_some();
        let bytes = if is_open { done.work.size } else { matched };
        self.progress.bytes_done = self.progress.bytes_done.saturating_add(bytes);
        self.record(&done.record, done.work.opened())
    }

    fn record(&mut self, record: &Record, file: Option<&std::fs::File>) -> Result<(), Failure> {
        self.exit = self.exit.max(record.verdict.into());
        self.progress.done += 1;
        Ok(self.watch.record(record, file)?)
    }

    /// Takes leave of those that are there.
    async fn farewell(&mut self) {
        for lane in self.lanes.drain(..) {
            if let State::Opening(_, task) = lane.state {
                task.abort();
            }
        }
        let tasks = &mut self.tasks;
        let _ = timeout(FAREWELL, async {
            while tasks.join_next().await.is_some() {}
        })
        .await;
    }
}

#[cfg(test)]
mod tests;
