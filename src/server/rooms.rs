//! What the content that peers send may take of this machine, in all and for each peer.
//!
//! Each transfer holds a [`Room`] from its first byte until its scan has ended. What does not fit is refused at once
//! and with its reason: transfers that waited for each other's room would wait for ever.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{Errno, Limit, Reason};
use crate::metrics::Page;

/// Bytes in memory of all transfers together; beyond, they are on disk from their first byte.
const MEMORY: u64 = 128 * 1024 * 1024;

/// Data connections at the same time: each takes a port while it is waited for, and there are some 28,000.
const CHANNELS: u32 = 4096;

/// Data connections of one peer.
const CHANNELS_PER_PEER: u32 = 1024;

/// The rooms that are taken.
#[derive(Debug)]
pub(super) struct Rooms {
    bytes: u64,
    bytes_per_peer: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: Counts,
    memory: u64,
    peers: HashMap<IpAddr, Counts>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    bytes: u64,
    transfers: u32,
    channels: u32,
}

/// What one transfer has taken. Dropping it gives it back.
#[derive(Debug)]
pub struct Room {
    rooms: Arc<Rooms>,
    peer: IpAddr,
    channels: u32,
    bytes: u64,
    memory: u64,
}

impl Rooms {
    /// Room for so many bytes in all, half of it for one peer.
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            bytes,
            bytes_per_peer: bytes / 2,
            taken: Mutex::default(),
        }
    }

    /// Bytes that one transfer can have at most.
    pub(super) fn largest(&self) -> u64 {
        self.bytes_per_peer
    }

    /// Begins a transfer, with a data connection of its own or without.
    ///
    /// # Errors
    /// Too many data connections.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr, channel: bool) -> Result<Room, Reason> {
        let (peer, channels) = (peer.to_canonical(), u32::from(channel));
        let mut taken = self.lock();
        let all = taken.all.channels + channels;
        let theirs = taken.peers.entry(peer).or_default();
        if channel && (all > CHANNELS || theirs.channels >= CHANNELS_PER_PEER) {
            const EAGAIN: Errno = Errno(11);
            return Err(Reason::Unreadable(EAGAIN));
        }
        theirs.channels += channels;
        theirs.transfers += 1;
        taken.all.channels = all;
        drop(taken);
        Ok(Room {
            rooms: Arc::clone(self),
            peer,
            channels,
            bytes: 0,
            memory: 0,
        })
    }

    /// Says how much of the room is in use.
    pub(super) fn tell(&self, page: &mut Page) {
        let taken = self.lock();
        let (all, memory) = (taken.all, taken.memory);
        let transfers: u32 = taken.peers.values().map(|peer| peer.transfers).sum();
        drop(taken);
        for (name, help, value) in [
            (
                "vfind_uploads",
                "Contents that peers send, from their first byte to their verdict.",
                u64::from(transfers),
            ),
            (
                "vfind_upload_channels",
                "Data connections.",
                u64::from(all.channels),
            ),
            (
                "vfind_upload_bytes",
                "Bytes of the contents that peers send.",
                all.bytes,
            ),
            (
                "vfind_upload_memory_bytes",
                "Those of them that are in memory and not on disk.",
                memory,
            ),
            (
                "vfind_upload_limit_bytes",
                "Room for them; beyond, contents are refused.",
                self.bytes,
            ),
        ] {
            page.gauge(name, help, value as f64);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Takes room for more bytes.
    ///
    /// # Errors
    /// `limit/spool` for a transfer that is too large by itself, ENOSPC where others leave too little.
    pub(super) fn grow(&mut self, more: u64) -> Result<(), Reason> {
        const ENOSPC: Errno = Errno(28);
        if self.bytes + more > self.rooms.bytes_per_peer {
            return Err(Reason::Limit(Limit::Spool));
        }
        let mut taken = self.rooms.lock();
        let all = taken.all.bytes + more;
        let theirs = taken.peers.entry(self.peer).or_default();
        if all > self.rooms.bytes || theirs.bytes + more > self.rooms.bytes_per_peer {
            return Err(Reason::Unreadable(ENOSPC));
        }
        theirs.bytes += more;
        taken.all.bytes = all;
        self.bytes += more;
        Ok(())
    }

    /// Tells whether so many of the bytes may be in memory, and counts them if so.
    pub(super) fn in_memory(&mut self, more: u64) -> bool {
        let mut taken = self.rooms.lock();
        let fits = taken.memory + more <= MEMORY;
        if fits {
            taken.memory += more;
            self.memory += more;
        }
        fits
    }

    /// Tells that its bytes are no longer in memory.
    pub(super) fn on_disk(&mut self) {
        let mut taken = self.rooms.lock();
        taken.memory -= std::mem::take(&mut self.memory);
    }

    /// Gives the data connection back.
    pub(super) fn hung_up(&mut self) {
        let channels = std::mem::take(&mut self.channels);
        let mut taken = self.rooms.lock();
        taken.all.channels -= channels;
        if let Some(theirs) = taken.peers.get_mut(&self.peer) {
            theirs.channels -= channels;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.hung_up();
        let mut taken = self.rooms.lock();
        taken.all.bytes -= self.bytes;
        taken.memory -= self.memory;
        if let Some(theirs) = taken.peers.get_mut(&self.peer) {
            theirs.bytes -= self.bytes;
            theirs.transfers -= 1;
            if theirs.transfers == 0 {
                taken.peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn what_is_too_large_is_told_from_what_is_too_much_now() {
        let rooms = Arc::new(Rooms::new(200));
        let mut first = rooms.enter(A, false).unwrap();
        assert_eq!(first.grow(101), Err(Reason::Limit(Limit::Spool)));
        assert_eq!(first.grow(60), Ok(()));
        let mut second = rooms.enter(A, true).unwrap();
        assert_eq!(second.grow(60), Err(Reason::Unreadable(Errno(28))));
        assert_eq!(rooms.enter(B, false).unwrap().grow(60), Ok(()), "another");
        drop(first);
        assert_eq!(second.grow(60), Ok(()));
        drop(second);
        let taken = rooms.lock();
        assert_eq!((taken.all.bytes, taken.all.channels), (0, 0));
        assert!(taken.peers.is_empty());
    }

    #[test]
    fn peers_share_the_whole() {
        let rooms = Arc::new(Rooms::new(200));
        let peers = (1..=2).map(|last| IpAddr::from([10, 0, 0, last]));
        let mut all: Vec<Room> = peers
            .map(|peer| rooms.enter(peer, false).unwrap())
            .collect();
        for room in &mut all {
            assert_eq!(room.grow(100), Ok(()));
        }
        let mut third = rooms.enter(IpAddr::from([10, 0, 0, 3]), false).unwrap();
        assert_eq!(third.grow(1), Err(Reason::Unreadable(Errno(28))));
        all.pop();
        assert_eq!(third.grow(1), Ok(()));
    }

    #[test]
    fn one_peer_cannot_take_all_ports() {
        let rooms = Arc::new(Rooms::new(1));
        let mut theirs: Vec<Room> = (0..CHANNELS_PER_PEER)
            .map(|_| rooms.enter(A, true).unwrap())
            .collect();
        assert!(rooms.enter(A, true).is_err());
        assert!(rooms.enter(A, false).is_ok() && rooms.enter(B, true).is_ok());
        theirs[0].hung_up();
        assert!(rooms.enter(A, true).is_ok());
    }

    #[test]
    fn memory_is_given_back_when_it_goes_to_disk_and_at_the_end() {
        let rooms = Arc::new(Rooms::new(u64::MAX));
        let (mut a, mut b) = (
            rooms.enter(A, false).unwrap(),
            rooms.enter(B, false).unwrap(),
        );
        assert!(a.in_memory(MEMORY) && !b.in_memory(1));
        a.on_disk();
        assert!(b.in_memory(MEMORY));
        drop(b);
        assert!(a.in_memory(MEMORY));
    }
}
