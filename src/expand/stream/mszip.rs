//! MS-ZIP as KWAJ has it: deflate in blocks of at most 32 KiB, each of which may refer to the one before.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::Input;
use crate::expand::{cut_short, damaged};

const BLOCK: usize = 32 << 10;

pub(super) struct MsZip<'a> {
    pub(super) input: Input<'a>,
    /// The content of the block, and how much of it was given.
    block: Vec<u8>,
    given: usize,
    failed: Option<io::Error>,
    ended: bool,
}

impl<'a> MsZip<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self {
            input,
            block: Vec::new(),
            given: 0,
            failed: None,
            ended: false,
        }
    }

    fn next(&mut self) -> io::Result<()> {
        let length = u16::from_le_bytes(self.input.array("MS-ZIP data")?);
        if length == 0 {
            self.ended = true;
            return Ok(());
        }
        if self.input.array::<2>("MS-ZIP block")? != *b"CK" {
            return Err(damaged("no MS-ZIP block"));
        }
        let length = u64::from(length).checked_sub(2);
        let length = length.ok_or_else(|| damaged("length of the MS-ZIP block"))?;
        let mut data = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut data)?;
        let before = std::mem::take(&mut self.block);
        self.given = 0;
        let mut raw = Decompress::new(false);
        if !before.is_empty() && raw.set_dictionary(&before).is_err() {
            return Err(damaged("damaged MS-ZIP data"));
        }
        let mut block = vec![0; BLOCK];
        let status = raw.decompress(&data, &mut block, FlushDecompress::Finish);
        block.truncate(usize::try_from(raw.total_out()).unwrap_or_default());
        self.block = block;
        match status {
            Ok(Status::StreamEnd) => Ok(()),
            _ if (data.len() as u64) < length => Err(cut_short("MS-ZIP data without its end")),
            _ => Err(damaged("damaged MS-ZIP data")),
        }
    }
}

impl Read for MsZip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.get(self.given..).unwrap_or_default().read(out)?;
            self.given += count;
            if count > 0 || self.ended || out.is_empty() {
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if let Err(error) = self.next() {
                self.failed = Some(error);
            }
        }
    }
}
