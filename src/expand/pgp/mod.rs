//! OpenPGP messages (RFC 9580, RFC 4880): what is signed or compressed is opened, what is encrypted is said.
//!
//! Keys, certificates and signatures that stand apart are made of the same packets, and are no containers.
#![forbid(unsafe_code)]

mod packet;
mod recognise;

use std::io::{self, Read};

use self::packet::{AEAD, Body, COMPRESSED, ENCRYPTED, Header, LITERAL, PROTECTED, header};
pub(super) use self::recognise::begins;
use super::inflate::Inflate;
use super::stream::{BZIP2, Input, Pieces, ZLIB, member_name};
use super::{Children, Container, Content, Expander, Halt, behind, is_damage};
use crate::event::{Limit, Reason};

/// Compressed packets inside each other. Nobody writes two.
const DEPTH: usize = 8;

/// The ends of names that are taken off.
const SUFFIXES: &[(&str, &str)] = &[(".gpg", ""), (".pgp", ""), (".asc", "")];

/// The name of a content that is not to be written to a disk (§5.9).
const FOR_YOUR_EYES: &[u8] = b"_CONSOLE";

/// The expander of OpenPGP.
pub(super) struct Pgp;

impl Expander for Pgp {
    fn kind(&self) -> &'static str {
        "pgp"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let mut input = Input::new(Box::new(container.object.raw_reader()));
        let mut message = Message {
            container,
            children,
            begun: false,
            any: false,
            encrypted: false,
        };
        message.packets(&mut input, 0)?;
        match (message.begun, message.any) {
            (false, _) => Err(Halt::Unlike),
            (true, false) => Err(Halt::Broken("a message without its content".to_owned())),
            (true, true) => Ok(()),
        }
    }
}

/// Goes through the packets of a message.
struct Message<'a> {
    container: &'a Container<'a>,
    children: &'a mut dyn Children,
    /// There was a packet.
    begun: bool,
    /// A content was given, or why not was said.
    any: bool,
    encrypted: bool,
}

impl Message<'_> {
    /// Goes through the packets of `input`, which is the message itself or what was compressed in it.
    fn packets(&mut self, input: &mut Input<'_>, depth: usize) -> Result<(), Halt> {
        loop {
            let at = input.position();
            let packet = match header(input) {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(()),
                Err(error) if is_damage(&error) && (self.begun || depth > 0) => {
                    return self.rest(&error, (depth == 0).then_some(at));
                }
                Err(error) if is_damage(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.begun = true;
            let mut body = Body::new(&mut *input, packet.length);
            let passed = match packet.tag {
                COMPRESSED => self.compressed(&mut body, depth)?,
                _ => self.packet(packet, &mut body)?,
            };
            if !passed {
                return Ok(());
            }
        }
    }

    /// What follows is no packet.
    fn rest(&mut self, error: &io::Error, at: Option<u64>) -> Result<(), Halt> {
        self.any = true;
        self.children.gap(
            None,
            Reason::Corrupt,
            format!("behind the packets: {error}"),
        )?;
        at.map_or(Ok(()), |at| {
            behind(self.container.object, at, self.children)
        })
    }

    /// Takes one packet; false when it is cut, so that nothing follows.
    fn packet(&mut self, packet: Header, body: &mut Body<&mut Input<'_>>) -> Result<bool, Halt> {
        match packet.tag {
            LITERAL => self.literal(body)?,
            ENCRYPTED | PROTECTED | AEAD if !self.encrypted => {
                (self.any, self.encrypted) = (true, true);
                let detail = "OpenPGP".to_owned();
                self.children.gap(None, Reason::Encrypted, detail)?;
            }
            _ => {}
        }
        self.pass(body)
    }

    /// Passes over what is left of a packet.
    fn pass(&mut self, body: &mut Body<&mut Input<'_>>) -> Result<bool, Halt> {
        match body.pass() {
            Ok(()) => Ok(true),
            Err(error) if is_damage(&error) => {
                self.any = true;
                self.children
                    .gap(None, Reason::Corrupt, error.to_string())?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives what a message is about (§5.9).
    fn literal(&mut self, body: &mut Body<&mut Input<'_>>) -> Result<(), Halt> {
        let mut start = [0; 2];
        let mut name = Vec::new();
        let mut date = [0; 4];
        let read = body.read_exact(&mut start).and_then(|()| {
            body.take(start[1].into()).read_to_end(&mut name)?;
            body.read_exact(&mut date)
        });
        self.any = true;
        match read {
            Ok(()) => {}
            Err(error) if is_damage(&error) => {
                let detail = "the header of the content is cut".to_owned();
                return self.children.gap(None, Reason::Corrupt, detail);
            }
            Err(error) => return Err(error.into()),
        }
        if name == FOR_YOUR_EYES {
            name.clear();
        }
        let name = member_name(&name, self.container.name, SUFFIXES);
        self.children.child(&name, Content::Stream(body))
    }

    /// Goes through what was compressed (§5.6); false when nothing follows it.
    fn compressed(&mut self, body: &mut Body<&mut Input<'_>>, depth: usize) -> Result<bool, Halt> {
        if depth >= DEPTH {
            self.any = true;
            let detail = format!("compressed packets more than {DEPTH} deep");
            self.children
                .gap(None, Reason::Limit(Limit::Depth), detail)?;
            return Ok(false);
        }
        let mut algorithm = [0];
        let known = match body.read_exact(&mut algorithm) {
            Ok(()) => {
                let input = Input::new(Box::new(&mut *body));
                match decompressed(algorithm[0], input, self.container.memory) {
                    Ok(Some(stream)) => {
                        let stream = self.container.object.watch(stream);
                        self.packets(&mut Input::new(Box::new(stream)), depth + 1)?;
                        Ok(true)
                    }
                    Ok(None) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        let detail = match known {
            Ok(true) => return self.pass(body),
            Ok(false) => {
                self.any = true;
                let reason = Reason::Unsupported("pgp-compression".to_owned());
                let detail = format!("algorithm {}", algorithm[0]);
                self.children.gap(None, reason, detail)?;
                return self.pass(body);
            }
            Err(error) if error.raw_os_error().is_some() => return Err(error.into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        self.any = true;
        self.children.gap(None, Reason::Corrupt, detail)?;
        Ok(false)
    }
}

/// Begins to decompress; nothing for an algorithm that is not known (§9.4).
fn decompressed<'a>(
    algorithm: u8,
    input: Input<'a>,
    memory: u64,
) -> io::Result<Option<Box<dyn Read + 'a>>> {
    Ok(Some(match algorithm {
        0 => Box::new(input),
        1 => Box::new(Inflate::new(input)),
        2 => Box::new(Pieces::open(&ZLIB, input, memory)?),
        3 => Box::new(Pieces::open(&BZIP2, input, memory)?),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests;
