//! The journal of systemd, by its native protocol: one datagram for each event, with its fields apart, so that `journalctl` finds
//! them by name.
#![forbid(unsafe_code)]

use std::fmt::{self, Write};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest value, in bytes: a datagram has an end, and a name that somebody asks for has none.
const VALUE: usize = 16 * 1024;

/// How long the journal may take to take a line; one that it does not take is lost, and not the request.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends events to the journal.
pub(super) struct Journald {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journald {
    /// For the journal that listens there.
    ///
    /// # Errors
    /// The system's: nobody listens there.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        UnixDatagram::unbound()?.connect(path)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }
}

impl<S: Subscriber> Layer<S> for Journald {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let priority = match *event.metadata().level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            _ => "7",
        };
        let mut datagram = Vec::new();
        add("PRIORITY", priority, &mut datagram);
        add("SYSLOG_IDENTIFIER", "vfindd", &mut datagram);
        // What journalctl shows has everything, as the text form does.
        add(
            "MESSAGE",
            &format!("{}{}", fields.message, fields.text),
            &mut datagram,
        );
        datagram.extend(fields.apart);
        // By name: the journal may be another process by now. There is nobody else to tell.
        let _ = self.socket.send_to(&datagram, &self.path);
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    /// ` name=value` of the others.
    text: String,
    /// The same for the journal.
    apart: Vec<u8>,
}

impl Fields {
    fn take(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
            return;
        }
        // Writing into a string never fails.
        let _ = write!(self.text, " {}={value}", field.name());
        let name = format!("VFIND_{}", field.name().to_ascii_uppercase());
        add(&name, value, &mut self.apart);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, &format!("{value:?}"));
    }
}

/// Appends a field: with its length in front, for a value may have more than one line.
fn add(name: &str, value: &str, out: &mut Vec<u8>) {
    let value = value
        .get(..value.floor_char_boundary(VALUE))
        .unwrap_or(value);
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::prelude::*;

    /// The fields of a datagram, as the journal reads them.
    fn fields(mut datagram: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !datagram.is_empty() {
            let end = datagram.iter().position(|byte| *byte == b'\n').unwrap();
            let name = String::from_utf8(datagram[..end].to_vec()).unwrap();
            let length: [u8; 8] = datagram[end + 1..end + 9].try_into().unwrap();
            let length = usize::try_from(u64::from_le_bytes(length)).unwrap();
            let value = &datagram[end + 9..end + 9 + length];
            fields.push((name, String::from_utf8(value.to_vec()).unwrap()));
            assert_eq!(datagram[end + 9 + length], b'\n');
            datagram = &datagram[end + 10 + length..];
        }
        fields
    }

    #[test]
    fn an_event_is_a_datagram_with_its_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        assert!(Journald::new(&path).is_err());
        let journal = UnixDatagram::bind(&path).unwrap();
        let layer = Journald::new(&path).unwrap();
        let long = "x".repeat(1 << 20);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(asked = %"\"two\nlines\"", count = 3, none = None::<u64>, "request");
            tracing::info!(long, "more");
        });
        let mut buffer = vec![0; 1 << 20];
        let length = journal.recv(&mut buffer).unwrap();
        let expected = [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "vfindd"),
            ("MESSAGE", "request asked=\"two\nlines\" count=3"),
            ("VFIND_ASKED", "\"two\nlines\""),
            ("VFIND_COUNT", "3"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields(&buffer[..length]), expected);
        let length = journal.recv(&mut buffer).unwrap();
        assert_eq!(fields(&buffer[..length])[3].1.len(), VALUE);
    }
}
