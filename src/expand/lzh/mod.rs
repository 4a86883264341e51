//! The codes that LHA has since ar002 of H. Okumura (lh4 to lh7, and lhx), and ARJ too: blocks of literals and copies in a
//! canonical code of their own, which is written with the lengths of its symbols' codes before them.
#![forbid(unsafe_code)]

mod bits;

use std::io::{self, Read};

use self::bits::Bits;
use super::damaged;
use super::huffman::Code;
use super::window::Window;

/// Symbols: the bytes, and copies of 3 to 256 bytes.
const BYTES: usize = 256;
const SYMBOLS: usize = BYTES + 254;
const SHORTEST: usize = 3;
const LONGEST: usize = SHORTEST + SYMBOLS - BYTES - 1;

/// Symbols of the code of lengths: three sorts of zeros, and lengths from one on. There may be more, which mean nothing.
const LENGTHS: usize = 31;

/// The longest code.
const WIDEST: usize = 16;

/// Bytes that are decoded at once.
const STEP: usize = 32 * 1024;

/// What differs between the methods.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    /// Copies reach back two to the power of this, and a distance has at most so many bits.
    reach: u32,
    /// The bits of the number of codes for distances.
    distances: u32,
}

impl Method {
    /// -lh4- and -lh5-.
    pub(super) const LH5: Self = Self {
        reach: 13,
        distances: 4,
    };
    /// -lh6- and -lh7-, and methods 1 to 3 of ARJ.
    pub(super) const LH7: Self = Self {
        reach: 16,
        distances: 5,
    };
    /// -lhx-.
    pub(super) const LHX: Self = Self {
        reach: 19,
        distances: 5,
    };
}

/// Decodes `size` bytes, for the data have no end of their own.
pub(super) struct Lzh<R> {
    bits: Bits<R>,
    method: Method,
    window: Window,
    /// Bytes that are still to be decoded.
    left: u64,
    /// Symbols that are left of the block, and their code and that of distances.
    symbols: usize,
    code: Code,
    distances: Code,
    /// Why it cannot go on, once what came before has been given.
    failed: Option<io::Error>,
}

impl<R: Read> Lzh<R> {
    pub(super) fn new(input: R, method: Method, size: u64) -> Self {
        Self {
            bits: Bits::new(input),
            method,
            // What is copied from before the start is blanks.
            window: Window::filled(1 << method.reach, b' '),
            left: size,
            symbols: 0,
            code: Code::single(0),
            distances: Code::single(0),
            failed: None,
        }
    }

    /// Decodes more, of which none is waiting.
    fn step(&mut self) -> io::Result<()> {
        self.window.reserve(STEP + LONGEST);
        let until = self.left.saturating_sub(STEP as u64);
        while self.left > until {
            while self.symbols == 0 {
                self.block()?;
            }
            // A symbol, the code of a distance and its bits are at most 16, 16 and 18.
            self.bits.fill()?;
            let symbol = self.bits.symbol(&self.code)?;
            self.symbols -= 1;
            let Some(copy) = symbol.checked_sub(BYTES) else {
                self.window.push(u8::try_from(symbol).unwrap_or_default());
                self.left -= 1;
                continue;
            };
            let mut distance = self.bits.symbol(&self.distances)?;
            if let Some(width) = distance.checked_sub(1) {
                let width = u32::try_from(width).unwrap_or_default();
                distance = (1 << width) + self.bits.take(width)?;
            }
            let length = (copy + SHORTEST) as u64;
            let length = length.min(self.left);
            self.window
                .copy(distance + 1, usize::try_from(length).unwrap_or_default())?;
            self.left -= length;
        }
        Ok(())
    }

    /// Reads what stands before the symbols of a block.
    fn block(&mut self) -> io::Result<()> {
        self.bits.fill()?;
        let symbols = self.bits.take(16)?;
        let lengths = self.small_code(5, LENGTHS, true)?;
        self.code = self.symbol_code(&lengths)?;
        let Method { reach, distances } = self.method;
        self.distances = self.small_code(distances, reach as usize + 1, false)?;
        self.symbols = symbols;
        Ok(())
    }

    /// A code whose lengths are written as they are; `width` bits say how many.
    fn small_code(&mut self, width: u32, most: usize, of_lengths: bool) -> io::Result<Code> {
        self.bits.fill()?;
        let count = self.bits.take(width)?;
        if count == 0 {
            return self.only(width, most);
        }
        if count > most {
            return Err(damaged("a code with too many lengths"));
        }
        let mut lengths = Vec::new();
        while lengths.len() < count {
            lengths.push(self.length()?);
            if of_lengths && lengths.len() == 3 {
                // Zeros may follow, even more than there are lengths.
                lengths.resize(3 + self.bits.take(2)?, 0);
            }
        }
        lengths.truncate(count);
        Code::new(&lengths)
    }

    /// Three bits, and as many ones as it is more than seven.
    fn length(&mut self) -> io::Result<u8> {
        self.bits.fill()?;
        let mut length = self.bits.take(3)?;
        if length == 7 {
            while self.bits.take(1)? == 1 {
                length += 1;
                if length > WIDEST {
                    return Err(damaged("a code that is too long"));
                }
            }
        }
        Ok(u8::try_from(length).unwrap_or_default())
    }

    /// The code of the symbols, whose lengths are written in a code, too.
    fn symbol_code(&mut self, code: &Code) -> io::Result<Code> {
        const WIDTH: u32 = 9;
        self.bits.fill()?;
        let count = self.bits.take(WIDTH)?;
        if count == 0 {
            return self.only(WIDTH, SYMBOLS);
        }
        if count > SYMBOLS {
            return Err(damaged("a code with too many lengths"));
        }
        let mut lengths = Vec::new();
        while lengths.len() < count {
            self.bits.fill()?;
            let zeros = match self.bits.symbol(code)? {
                0 => 1,
                1 => self.bits.take(4)? + 3,
                2 => self.bits.take(WIDTH)? + 20,
                length if length > WIDEST + 2 => return Err(damaged("a code that is too long")),
                length => {
                    lengths.push(u8::try_from(length - 2).unwrap_or_default());
                    continue;
                }
            };
            lengths.resize(lengths.len() + zeros, 0);
        }
        lengths.truncate(count);
        Code::new(&lengths)
    }

    /// A code with one symbol, which takes no bits.
    fn only(&mut self, width: u32, most: usize) -> io::Result<Code> {
        let symbol = self.bits.take(width)?;
        if symbol >= most {
            return Err(damaged("a symbol that is none"));
        }
        Ok(Code::single(u16::try_from(symbol).unwrap_or_default()))
    }
}

impl<R: Read> Read for Lzh<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.window.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                self.left = 0;
                return Err(error);
            }
            if self.left == 0 {
                return Ok(0);
            }
            self.failed = self.step().err();
        }
    }
}

#[cfg(test)]
mod tests {
    use delharc::LhaHeader;
    use delharc::decode::{Decoder, DecoderAny};
    use delharc::header::CompressionMethod;

    use super::*;
    use crate::expand::testing::{Folder, mutations, tool};

    const METHODS: [(Method, CompressionMethod); 3] = [
        (Method::LH5, CompressionMethod::Lh5),
        (Method::LH7, CompressionMethod::Lh7),
        (Method::LHX, CompressionMethod::Lhx),
    ];

    /// What is decoded up to the size or to a damage.
    fn ours(data: &[u8], method: Method, size: usize) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let result = Lzh::new(data, method, size as u64).read_to_end(&mut out);
        (out, result.is_ok())
    }

    /// The same by the crate, which fills a buffer or tells nothing of it.
    fn theirs(data: &[u8], method: CompressionMethod, size: usize) -> (Vec<u8>, bool) {
        let mut decoder = DecoderAny::new_from_compression(method, data);
        let mut out = Vec::new();
        let mut byte = [0];
        while out.len() < size {
            if decoder.fill_buffer(&mut byte).is_err() {
                return (out, false);
            }
            out.extend_from_slice(&byte);
        }
        (out, true)
    }

    /// What jlha makes of a content, without its header.
    fn packed(folder: &Folder, option: &str, content: &[u8]) -> Vec<u8> {
        folder.write("content", content);
        let _ = std::fs::remove_file(folder.path().join("out.lzh"));
        folder.run("jlha", &[option, "out.lzh", "content"]);
        let archive = folder.read("out.lzh");
        let mut rest = &archive[..];
        let header = LhaHeader::read(&mut rest).unwrap().unwrap();
        rest[..usize::try_from(header.compressed_size).unwrap()].to_vec()
    }

    #[test]
    fn all_that_another_decoder_gives_is_given() {
        let Some(folder) = tool("jlha") else { return };
        let mut content: Vec<u8> = (0..8_000_u32)
            .map(|at| ((at * at) >> 7).to_le_bytes()[usize::from(at % 5 == 0)])
            .collect();
        content.extend_from_slice(&b"a copy of a copy ".repeat(40));
        let mut whole = 0;
        for (option, (own, _)) in ["ao5", "ao6", "ao7"]
            .iter()
            .zip([0, 1, 1].map(|at| METHODS[at]))
        {
            let sample = packed(&folder, option, &content);
            assert!(
                ours(&sample, own, content.len()) == (content.clone(), true),
                "{option}"
            );
            for (method, name) in METHODS {
                mutations(&sample, 200, |bytes| {
                    let (given, all) = ours(bytes, method, content.len());
                    let (wanted, well) = theirs(bytes, name, content.len());
                    assert!(given.starts_with(&wanted), "{option}, {name:?}");
                    assert!(all || !well, "{option}, {name:?}");
                    whole += usize::from(all);
                });
            }
        }
        assert!(whole > 0);
    }

    #[test]
    fn a_cut_gives_what_comes_before_it() {
        let Some(folder) = tool("jlha") else { return };
        let content = b"some content, some more content, and more ".repeat(100);
        let sample = packed(&folder, "ao5", &content);
        let mut before = 0;
        for cut in 0..sample.len() {
            let (given, all) = ours(&sample[..cut], Method::LH5, content.len());
            assert!(content.starts_with(&given), "{cut}");
            assert!(given.len() >= before, "{cut}");
            assert!(!all || given.len() == content.len(), "{cut}");
            before = given.len();
        }
    }
}
