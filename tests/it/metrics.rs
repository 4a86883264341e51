//! What the daemon counts: that it is true, documented, and what dashboard and alerts ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::support::{Daemon, PATIENCE, eicar, gzip, has_tools, noise, out, run, tar, zip};

const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");

/// The type that a web server has to say of the text.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A daemon that is asked for its metrics at its control socket.
struct Watched {
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Watched {
    fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules.cvdl");
        std::fs::write(&rules, ":Own/Thread, \"the thread\" #\n").unwrap();
        let yesterday = SystemTime::now() - Duration::from_secs(86_400);
        let file = std::fs::File::options().write(true).open(&rules).unwrap();
        file.set_modified(yesterday).unwrap();
        let database = format!("--database={}", rules.display());
        let control = format!("--control={}", folder.path().join("control").display());
        let daemon = Daemon::start(&[&[database.as_str(), &control], more].concat());
        Self { daemon, folder }
    }

    fn tell(&self, word: &str) -> String {
        let control = format!("--control={}", self.folder.path().join("control").display());
        out(&run(VFINDD, &[&control, &format!("--tell={word}")], b""))
    }

    fn metrics(&self) -> Metrics {
        // A verdict is with its client before its worker has gone on.
        let end = Instant::now() + PATIENCE;
        loop {
            let metrics = Metrics(self.tell("metrics"));
            if metrics.value("vfind_workers_busy") == 0.0 {
                return metrics;
            }
            assert!(Instant::now() < end, "never idle");
        }
    }

    /// A bit of everything: found, clean (twice), damaged, encrypted, nested, gone, and content over the connection.
    fn work(&self) {
        let file = |name: &str, content: &[u8]| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let inner = zip(&[("eicar", &eicar()), ("noise", &noise(1, 3000))]);
        let outer = tar(&[(b"inner.zip", &inner), (b"plain", b"nothing")]);
        let mut cut = gzip(&noise(2, 10_000));
        cut.truncate(5000);
        let mut talk = self.daemon.connect();
        for (name, content) in [
            ("outer.tar", outer.as_slice()),
            ("thread", b"here is the thread"),
            ("clean", b"nothing"),
            ("cut.gz", &cut),
        ] {
            talk.scan(&file(name, content));
        }
        talk.scan(&self.folder.path().join("clean"));
        talk.scan(&self.folder.path().join("not there"));
        talk.send("SCAN/DATA 3\nabc");
        talk.answer();
        drop(talk);
    }
}

/// The text, read as its readers do.
struct Metrics(String);

impl Metrics {
    /// Each family with its type.
    fn families(&self) -> BTreeMap<&str, &str> {
        let types = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|line| line.split_once(' ').unwrap()).collect()
    }

    /// Each value with its name, its labels, and itself.
    fn samples(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            (name, labels.trim_end_matches('}'), value.parse().unwrap())
        })
    }

    /// The value of a series, written as in the text.
    fn value(&self, series: &str) -> f64 {
        let line = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let line = line.unwrap_or_else(|| panic!("{series} in\n{}", self.0));
        line.parse().unwrap()
    }

    /// The same in the older form, which `promtool` reads: types have the names of the series.
    fn as_prometheus(&self) -> String {
        let mut text = String::new();
        for line in self.0.lines().filter(|line| *line != "# EOF") {
            let family = line
                .strip_prefix("# ")
                .and_then(|rest| rest.split(' ').nth(1));
            let end = match family.map(|family| self.families()[family]) {
                Some("counter") => "_total",
                Some("info") => "_info",
                _ => "",
            };
            let family = family.unwrap_or_default();
            let line = line.replacen(
                family,
                &format!("{family}{end}"),
                usize::from(!end.is_empty()),
            );
            text += &line.replace("_info info", "_info gauge");
            text.push('\n');
        }
        text
    }
}

/// A row of the documentation: series, type, labels.
struct Row {
    name: String,
    kind: String,
    labels: BTreeSet<String>,
}

fn documented() -> Vec<Row> {
    let text = std::fs::read_to_string(at("docs/operating/metrics.md")).unwrap();
    let quoted = |cell: &str| -> Vec<String> {
        let words = cell.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    };
    let rows = text.lines().filter(|line| line.starts_with("| `vfind_"));
    let rows = rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        Row {
            name: quoted(cells[1]).pop().unwrap(),
            kind: cells[2].to_owned(),
            labels: quoted(cells[3]).into_iter().collect(),
        }
    });
    rows.collect()
}

#[test]
fn every_documented_metric_has_a_value_and_every_metric_is_documented() {
    let watched = Watched::start(&["--threads=2"]);
    watched.work();
    let metrics = watched.metrics();
    let families = metrics.families();
    let mut undocumented: BTreeSet<_> = families.keys().copied().collect();
    for row in documented() {
        let end = match row.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let family = row.name.strip_suffix(end).unwrap();
        assert!(undocumented.remove(family), "{} is not there", row.name);
        assert_eq!(families[family], row.kind, "{}", row.name);
        let sample = match row.kind.as_str() {
            "histogram" => format!("{family}_count"),
            _ => row.name.clone(),
        };
        let mut count = 0;
        for (_, labels, value) in metrics.samples().filter(|(name, ..)| *name == sample) {
            let labels = labels
                .split("\",")
                .filter_map(|label| label.split_once('='));
            let labels: BTreeSet<_> = labels.map(|(name, _)| name.to_owned()).collect();
            assert_eq!(labels, row.labels, "{}", row.name);
            assert!(value >= 0.0, "{}", row.name);
            count += 1;
        }
        assert!(count > 0, "{} has no value in\n{}", row.name, metrics.0);
    }
    assert!(undocumented.is_empty(), "not documented: {undocumented:?}");
}

#[test]
fn both_kinds_of_workers_count_the_same_and_right() {
    let mut both = Vec::new();
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let watched = Watched::start(&["--threads=1", isolation]);
        watched.work();
        let metrics = watched.metrics();
        for (series, value) in [
            (
                r#"vfind_requests_total{protocol="svsp",verdict="clean"}"#,
                4.0,
            ),
            (
                r#"vfind_requests_total{protocol="svsp",verdict="infected"}"#,
                2.0,
            ),
            (
                r#"vfind_requests_total{protocol="svsp",verdict="incomplete"}"#,
                1.0,
            ),
            (
                r#"vfind_request_duration_seconds_count{protocol="svsp"}"#,
                7.0,
            ),
            ("vfind_queue_wait_seconds_count", 7.0),
            // What is not there is no item.
            ("vfind_item_duration_seconds_count", 6.0),
            (r#"vfind_findings_total{signature="CVDL Own/Thread"}"#, 1.0),
            (r#"vfind_findings_total{signature="other"}"#, 0.0),
            (r#"vfind_gaps_total{reason="corrupt",policy="pass"}"#, 1.0),
            (
                r#"vfind_gaps_total{reason="unreadable",policy="error"}"#,
                1.0,
            ),
            (r#"vfind_expander_containers_total{kind="tar"}"#, 1.0),
            (r#"vfind_expander_containers_total{kind="zip"}"#, 1.0),
            (r#"vfind_expander_containers_total{kind="gz"}"#, 1.0),
            (r#"vfind_expander_bytes_total{kind="zip"}"#, 3068.0),
            (r#"vfind_cache_lookups_total{result="hit"}"#, 1.0),
            (r#"vfind_cache_lookups_total{result="miss"}"#, 5.0),
            (r#"vfind_connections{protocol="svsp"}"#, 0.0),
            (r#"vfind_connections_accepted_total{protocol="svsp"}"#, 1.0),
            ("vfind_uploads", 0.0),
            ("vfind_database_test_only", 0.0),
        ] {
            assert_eq!(metrics.value(series), value, "{isolation}: {series}");
        }
        for series in [
            r#"vfind_expander_seconds_total{kind="zip"}"#,
            "vfind_item_duration_seconds_sum",
            "vfind_scanned_bytes_total",
            r#"vfind_memory_resident_bytes{process="daemon"}"#,
            r#"vfind_memory_own_bytes{process="daemon"}"#,
            "vfind_cache_bytes",
            "vfind_upload_limit_bytes",
            "vfind_database_signatures",
        ] {
            assert!(metrics.value(series) > 0.0, "{isolation}: {series}");
        }
        let workers = metrics.value(r#"vfind_memory_resident_bytes{process="workers"}"#);
        let processes = metrics.value("vfind_worker_processes");
        let are_apart = isolation.ends_with("process");
        assert_eq!((workers > 0.0, processes > 0.0), (are_apart, are_apart));
        let age = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
            - metrics.value("vfind_database_newest_source_timestamp_seconds");
        assert!((86_000.0..90_000.0).contains(&age), "{age}");
        let is_counted = |name: &&str| {
            name.ends_with("_total") && !name.contains("seconds") && !name.contains("restarts")
        };
        let counts: Vec<_> = metrics
            .samples()
            .filter(|(name, ..)| is_counted(name))
            .map(|(name, labels, value)| format!("{name} {labels} {value}"))
            .collect();
        both.push(counts);
        assert_eq!(
            watched
                .tell("reload")
                .lines()
                .next()
                .map(|line| line.starts_with("epoch 1:")),
            Some(true)
        );
        assert_eq!(
            watched
                .metrics()
                .value(r#"vfind_database_reloads_total{result="same"}"#),
            1.0
        );
        std::fs::write(watched.folder.path().join("rules.cvdl"), "nonsense").unwrap();
        watched.tell("reload");
        let metrics = watched.metrics();
        assert_eq!(
            metrics.value(r#"vfind_database_reloads_total{result="refused"}"#),
            1.0
        );
        assert_eq!(metrics.value("vfind_database_reload_refused"), 1.0);
    }
    assert_eq!(both[0], both[1]);
}

/// All words that look like a name of a metric.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("vfind_")).collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let mut known = BTreeSet::new();
    for row in documented() {
        if row.kind == "histogram" {
            known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", row.name)));
        }
        known.insert(row.name);
    }
    for (file, least) in [
        ("docs/operating/grafana-dashboard.json", 20),
        ("docs/operating/alerts.yml", 12),
        ("tests/data/metrics/alerts.test.yml", 12),
    ] {
        let text = std::fs::read_to_string(at(file)).unwrap();
        let names = names(&text);
        let unknown: Vec<_> = names
            .iter()
            .filter(|name| !known.contains(**name))
            .collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(names.len() >= least, "{file}: {names:?}");
    }
    let dashboard = std::fs::read(at("docs/operating/grafana-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

#[test]
fn promtool_finds_nothing_wrong() {
    if !has_tools(&["promtool"]) {
        return;
    }
    let promtool = |arguments: &[&str], input: &[u8]| {
        let output = run("promtool", arguments, input);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{arguments:?}: {output:?}"
        );
    };
    let path = |file: &str| at(file).display().to_string();
    promtool(&["check", "rules", &path("docs/operating/alerts.yml")], b"");
    promtool(
        &["test", "rules", &path("tests/data/metrics/alerts.test.yml")],
        b"",
    );
    let watched = Watched::start(&[]);
    watched.work();
    promtool(
        &["check", "metrics"],
        watched.metrics().as_prometheus().as_bytes(),
    );
}

/// A web server that has one page.
fn serve(text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let length = text.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all((head + &text).as_bytes());
        }
    });
    format!("http://{address}/metrics")
}

/// A real Prometheus that scrapes one address, with our alerts.
struct Prometheus {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn of(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (host, path) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once('/')
            .unwrap();
        let configuration = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs: [{{job_name: vfind, metrics_path: '/{path}', static_configs: [{{targets: ['{host}']}}]}}]\n",
            at("docs/operating/alerts.yml").display()
        );
        std::fs::write(&configuration, text).unwrap();
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    /// What its API says at this path; nothing as long as it does not answer.
    fn ask(&self, path: &str) -> Option<serde_json::Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!("GET /api/v1/{path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    /// Asks until the answer is good.
    fn until(&self, path: &str, is_good: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(path);
            match answer {
                Some(answer) if is_good(&answer) => return answer,
                answer => assert!(Instant::now() < end, "{path}: {answer:?}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What must hold wherever the metrics are served.
fn is_scraped_from(url: &str) {
    let prometheus = Prometheus::of(url);
    let value = |answer: &serde_json::Value| {
        let text = answer["data"]["result"][0]["value"][1]
            .as_str()
            .map(str::to_owned);
        text.and_then(|text| text.parse::<f64>().ok())
    };
    prometheus.until("query?query=up", |answer| value(answer) == Some(1.0));
    // Names as they are in the alerts, so with what OpenMetrics puts behind them.
    for name in [
        "vfind_requests_total",
        "vfind_build_info",
        "vfind_request_duration_seconds_bucket",
        "vfind_expander_seconds_total",
    ] {
        let query = format!("query?query=count({name})");
        prometheus.until(&query, |answer| {
            value(answer).is_some_and(|count| count > 0.0)
        });
    }
    let rules = |answer: &serde_json::Value| -> Vec<String> {
        let rules = answer["data"]["groups"][0]["rules"].as_array();
        let health = rules
            .into_iter()
            .flatten()
            .map(|rule| rule["health"].as_str());
        health
            .map(|health| health.unwrap_or_default().to_owned())
            .collect()
    };
    prometheus.until("rules", |answer| {
        let health = rules(answer);
        health.len() > 10 && health.iter().all(|health| health == "ok")
    });
}

#[test]
fn a_real_prometheus_scrapes_it_and_evaluates_the_alerts() {
    if !has_tools(&["prometheus"]) {
        return;
    }
    let watched = Watched::start(&[]);
    watched.work();
    is_scraped_from(&serve(watched.metrics().0));
}
