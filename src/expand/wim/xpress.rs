//! XPRESS with Huffman codes ([MS-XCA] §2.1 and §2.2), one chunk.
#![forbid(unsafe_code)]

use std::io;

use super::bits::Bits;
use super::repeat::repeat;
use crate::expand::cut_short;
use crate::expand::huffman::Code;

/// The lengths of 512 codes, half a byte each.
const TABLE: usize = 256;

/// Decodes a chunk of at most `most` bytes.
pub(super) fn expand(data: &[u8], out: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let table = data.split_at_checked(TABLE);
    let (table, data) = table.ok_or_else(|| cut_short("the table of codes is cut"))?;
    let lengths: Vec<u8> = table
        .iter()
        .flat_map(|byte| [byte & 15, byte >> 4])
        .collect();
    let code = Code::new(&lengths)?;
    let mut bits = Bits::new(data, 16);
    while out.len() < most {
        let symbol = bits.symbol(&code)?;
        let Some(copy) = symbol.checked_sub(256) else {
            out.push(u8::try_from(symbol).unwrap_or_default());
            continue;
        };
        let mut length = usize::from(copy & 15);
        if length == 15 {
            length = match bits.byte()? {
                255 => usize::from(u16::from_le_bytes([bits.byte()?, bits.byte()?])),
                byte => usize::from(byte) + 15,
            };
        }
        let width = u32::from(copy >> 4);
        let distance = (1_usize << width) + bits.take(width)? as usize;
        repeat(out, distance, length + 3, most)?;
    }
    Ok(())
}
