//! Sectors and their chains ([MS-CFB] §2.1 to §2.5): where the bytes of a stream lie.
//!
//! Nothing of this is kept in memory but where the tables themselves lie: a chain is followed as its bytes are read, so
//! that what it costs is in proportion to what comes out of it.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, Read};

use crate::bytes::Reader;
use crate::expand::{cut_short, damaged};
use crate::object::Object;

/// Numbers from here on are no sectors.
pub(super) const LARGEST: u32 = 0xffff_fffa;
pub(super) const END: u32 = 0xffff_fffe;
pub(super) const FREE: u32 = 0xffff_ffff;

/// Where the list of the table's sectors begins in the header, and how many it has there.
const LIST: usize = 76;
const LISTED: usize = 109;

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// The size of a sector as a power of two.
    pub(super) shift: u32,
    small_shift: u32,
    /// Streams below this size lie in small sectors.
    pub(super) cutoff: u32,
    pub(super) directory: u32,
    small_table: u32,
    more_list: u32,
}

impl Header {
    /// Reads the fixed part; `None` when it is cut, or no reader could follow it.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let at = |at: usize| Reader::new(head.get(at..).unwrap_or_default());
        let shift = u32::from(at(30).u16_le()?);
        let small_shift = u32::from(at(32).u16_le()?);
        Some(Self {
            shift: Some(shift).filter(|shift| (7..=16).contains(shift))?,
            small_shift: Some(small_shift).filter(|small| (4..=shift).contains(small))?,
            cutoff: at(56).u32_le()?,
            directory: at(48).u32_le()?,
            small_table: at(60).u32_le()?,
            more_list: at(68).u32_le()?,
        })
    }
}

/// A table of sectors: for each the one that follows it.
#[derive(Debug, Default)]
struct Table {
    /// The sectors that it lies in.
    list: Vec<u32>,
    /// The one that was read last.
    cache: RefCell<(Option<usize>, Vec<u8>)>,
}

/// The two sizes of sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    Large,
    Small,
}

/// A file of sectors.
#[derive(Debug)]
pub(super) struct Sectors {
    object: Object,
    header: Header,
    table: Table,
    small_table: Table,
    /// The large sectors that the small ones lie in, and the bytes of them.
    small: Vec<u32>,
    small_length: u64,
}

impl Sectors {
    /// Finds the table of large sectors. Gives what is wrong with it, too.
    pub(super) fn open(object: &Object, header: Header) -> io::Result<(Self, Option<String>)> {
        let mut sectors = Self {
            object: object.clone(),
            header,
            table: Table::default(),
            small_table: Table::default(),
            small: Vec::new(),
            small_length: 0,
        };
        let wrong = sectors.list()?;
        Ok((sectors, wrong))
    }

    fn size(&self, area: Area) -> u64 {
        match area {
            Area::Large => 1 << self.header.shift,
            Area::Small => 1 << self.header.small_shift,
        }
    }

    /// Entries of the table in a sector of it.
    fn per_sector(&self) -> usize {
        1 << (self.header.shift - 2)
    }

    /// Sectors of the file, the last one perhaps cut. The header takes the place of one.
    pub(super) fn count(&self) -> u64 {
        let size = self.size(Area::Large);
        self.object
            .length()
            .saturating_sub(size)
            .div_ceil(size)
            .min(LARGEST.into())
    }

    fn place(&self, sector: u32) -> u64 {
        (u64::from(sector) + 1) << self.header.shift
    }

    /// The bytes of a large sector; fewer when it is cut.
    pub(super) fn sector(&self, sector: u32) -> io::Result<Vec<u8>> {
        self.object
            .bytes_at(self.place(sector), 1 << self.header.shift)
    }

    /// Collects the sectors of the table: 109 in the header, and the rest in a chain of sectors of its own.
    fn list(&mut self) -> io::Result<Option<String>> {
        let count = self.count();
        let enough =
            usize::try_from(count.div_ceil(self.per_sector() as u64)).unwrap_or(usize::MAX);
        let head = self.object.bytes_at(LIST as u64, 4 * LISTED)?;
        let mut list = numbers(&head);
        list.retain(|sector| *sector < LARGEST);
        let mut next = self.header.more_list;
        let mut left = count;
        let mut wrong = None;
        while next < LARGEST && list.len() < enough {
            let bytes = self.sector(next)?;
            if left == 0 || bytes.len() < 1 << self.header.shift {
                wrong = Some("the list of the table of sectors is damaged".to_owned());
                break;
            }
            left -= 1;
            let mut more = numbers(&bytes);
            next = more.pop().unwrap_or(END);
            list.extend(more.into_iter().filter(|sector| *sector < LARGEST));
        }
        self.table.list = list;
        Ok(wrong)
    }

    /// Finds the small sectors: their table, and the stream of the root that they lie in.
    pub(super) fn open_small(&mut self, start: u32, length: u64) -> io::Result<Option<String>> {
        let (list, wrong) = self.sectors_of(self.header.small_table, u64::MAX)?;
        self.small_table.list = list;
        let (small, also) = self.sectors_of(start, length)?;
        self.small = small;
        self.small_length = length;
        let wrong = wrong.map(|what| format!("the table of small sectors: {what}"));
        Ok(wrong.or(also.map(|what| format!("the stream of small sectors: {what}"))))
    }

    /// The sectors of a chain of `length` bytes, as far as it can be followed, and why no further.
    pub(super) fn sectors_of(
        &self,
        start: u32,
        length: u64,
    ) -> io::Result<(Vec<u32>, Option<String>)> {
        let mut sectors = Vec::new();
        let mut next = start;
        let wanted = length.div_ceil(self.size(Area::Large)).min(self.count());
        while next < LARGEST && (sectors.len() as u64) < wanted {
            sectors.push(next);
            match self.next(Area::Large, next) {
                Ok(after) => next = after,
                Err(error) if error.raw_os_error().is_none() && is_ours(&error) => {
                    return Ok((sectors, Some(error.to_string())));
                }
                Err(error) => return Err(error),
            }
        }
        let short = (sectors.len() as u64) < wanted && length != u64::MAX;
        let endless = next < LARGEST && length == u64::MAX;
        let wrong = match (short, endless) {
            (true, _) => Some("the chain of sectors is too short".to_owned()),
            (_, true) => Some("the chain of sectors is a loop".to_owned()),
            _ => None,
        };
        Ok((sectors, wrong))
    }

    /// The sector after `sector`.
    fn next(&self, area: Area, sector: u32) -> io::Result<u32> {
        let table = match area {
            Area::Large => &self.table,
            Area::Small => &self.small_table,
        };
        let entry = usize::try_from(sector).unwrap_or(usize::MAX);
        let (index, within) = (entry / self.per_sector(), entry % self.per_sector());
        let Some(&place) = table.list.get(index) else {
            return Err(damaged("a sector that the table does not have"));
        };
        let mut cache = table.cache.borrow_mut();
        if cache.0 != Some(index) {
            *cache = (Some(index), self.sector(place)?);
        }
        let mut entry = Reader::new(cache.1.get(4 * within..).unwrap_or_default());
        entry
            .u32_le()
            .ok_or_else(|| cut_short("the table of sectors is cut"))
    }

    /// A stream that begins in `start`.
    pub(super) fn chain(&self, area: Area, start: u32, length: u64) -> Chain<'_> {
        let there = match area {
            Area::Large => self.count(),
            Area::Small => self.small_length.div_ceil(self.size(area)),
        };
        Chain {
            sectors: self,
            area,
            sector: start,
            within: 0,
            left: length,
            steps: there,
        }
    }

    /// What the table says about the end: the end of the last large sector in use, and how many in use lie behind the end
    /// of the file. Zeros are what careless writers fill the table up with.
    pub(super) fn end(&self) -> io::Result<(u64, u64)> {
        let count = self.count();
        let first = usize::try_from(count).unwrap_or(usize::MAX) / self.per_sector();
        let mut missing = 0;
        let mut used = 0;
        for (index, place) in self
            .table
            .list
            .iter()
            .enumerate()
            .skip(first.saturating_sub(1))
        {
            for (within, entry) in numbers(&self.sector(*place)?).into_iter().enumerate() {
                let sector = (index * self.per_sector() + within) as u64;
                if entry == FREE || (entry == 0 && sector >= count) {
                    continue;
                }
                if sector < count {
                    used = sector + 1;
                } else {
                    missing += 1;
                }
            }
        }
        Ok(((used + 1) << self.header.shift, missing))
    }
}

/// True for errors that tell of the content.
fn is_ours(error: &io::Error) -> bool {
    crate::expand::is_damage(error)
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect()
}

/// Reads a stream along its chain. A clone goes on from the same place.
#[derive(Debug, Clone)]
pub(super) struct Chain<'a> {
    sectors: &'a Sectors,
    area: Area,
    sector: u32,
    within: u64,
    left: u64,
    /// Sectors that may still come: more than there are is a loop.
    steps: u64,
}

impl Chain<'_> {
    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Goes to the next sector when this one is used up.
    fn settle(&mut self) -> io::Result<()> {
        let size = self.sectors.size(self.area);
        while self.within >= size {
            if self.steps <= 1 {
                return Err(damaged(
                    "the chain of sectors is a loop or longer than the file",
                ));
            }
            let next = self.sectors.next(self.area, self.sector)?;
            if next >= LARGEST {
                return Err(cut_short("the chain of sectors ends before its stream"));
            }
            self.steps -= 1;
            self.sector = next;
            self.within -= size;
        }
        if self.sector >= LARGEST || self.steps == 0 {
            return Err(cut_short("the stream has no sector"));
        }
        Ok(())
    }

    /// Passes over `length` bytes.
    pub(super) fn skip(&mut self, length: u64) -> io::Result<()> {
        let length = length.min(self.left);
        self.left -= length;
        self.within += length;
        if self.left == 0 {
            Ok(())
        } else {
            self.settle()
        }
    }

    /// Bytes from the current place on that lie in the file one after the other; at most `wanted`.
    fn run(&self, wanted: u64) -> io::Result<u64> {
        let size = self.sectors.size(self.area);
        let mut run = size.saturating_sub(self.within);
        if self.area == Area::Small {
            return Ok(run.min(wanted));
        }
        let mut sector = self.sector;
        let mut steps = self.steps;
        while run < wanted && steps > 1 {
            let next = match self.sectors.next(self.area, sector) {
                Ok(next) => next,
                Err(error) if is_ours(&error) => break,
                Err(error) => return Err(error),
            };
            if next != sector.saturating_add(1) {
                break;
            }
            sector = next;
            run += size;
            steps -= 1;
        }
        Ok(run.min(wanted))
    }

    /// Where in the file the current byte lies.
    fn place(&self) -> io::Result<u64> {
        match self.area {
            Area::Large => Ok(self.sectors.place(self.sector) + self.within),
            Area::Small => {
                let at = (u64::from(self.sector) << self.sectors.header.small_shift) + self.within;
                let index = usize::try_from(at >> self.sectors.header.shift).unwrap_or(usize::MAX);
                let Some(sector) = self.sectors.small.get(index) else {
                    return Err(damaged("a small sector that is not there"));
                };
                let within = at & ((1 << self.sectors.header.shift) - 1);
                Ok(self.sectors.place(*sector) + within)
            }
        }
    }

    /// The stream as a part of the file, when it lies there in one piece.
    pub(super) fn whole(&self) -> io::Result<Option<Object>> {
        let mut chain = self.clone();
        if chain.left == 0 || chain.settle().is_err() || chain.run(chain.left)? < chain.left {
            return Ok(None);
        }
        let Ok(place) = chain.place() else {
            return Ok(None);
        };
        let slice = self.sectors.object.slice(place, chain.left);
        Ok(Some(slice).filter(|slice| slice.length() == chain.left))
    }
}

impl Read for Chain<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.left == 0 {
            return Ok(0);
        }
        self.settle()?;
        let run = self.run(self.left.min(out.len() as u64))?;
        let out = out.get_mut(..usize::try_from(run).unwrap_or_default());
        let count = self
            .sectors
            .object
            .read_at(out.unwrap_or_default(), self.place()?)?;
        if count == 0 {
            return Err(cut_short("the file ends inside the stream"));
        }
        self.left -= count as u64;
        self.within += count as u64;
        // Sectors that follow each other are passed over at once: the next look at the table begins at the last of them.
        let size = self.sectors.size(self.area);
        if self.area == Area::Large && self.within > size {
            let passed = (self.within - 1) / size;
            self.within -= passed * size;
            self.steps = self.steps.saturating_sub(passed);
            self.sector = self
                .sector
                .saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        }
        Ok(count)
    }
}
