//! Makes PE, ELF and Mach-O programs: valid ones, and ones with odd numbers in their headers.
//!
//! Behind the headers every program has the same noise, so that any six bytes of it tell where they stand.

use crate::random::Random;

/// Headers end before this byte.
pub(super) const HEADERS: usize = 0x400;

/// Bytes of a program.
pub(super) const LENGTH: usize = 0x1400;

/// What all programs have behind their headers.
pub(super) fn noise() -> Vec<u8> {
    Random::new(4).bytes(LENGTH)
}

/// Writes numbers of one byte order.
struct Writer {
    bytes: Vec<u8>,
    big: bool,
}

impl Writer {
    fn new(big: bool) -> Self {
        Self {
            bytes: Vec::new(),
            big,
        }
    }

    fn number(&mut self, value: u64, length: usize) {
        let mut bytes = value.to_le_bytes()[..length].to_vec();
        if self.big {
            bytes.reverse();
        }
        self.bytes.extend(bytes);
    }

    fn half(&mut self, value: u64) {
        self.number(value, 2);
    }

    fn long(&mut self, value: u64) {
        self.number(value, 4);
    }

    fn fill_to(&mut self, length: usize) {
        assert!(self.bytes.len() <= length, "the headers are too long");
        self.bytes.resize(length, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.fill_to(HEADERS);
        self.bytes.extend_from_slice(&noise()[HEADERS..]);
        self.bytes
    }
}

/// Mostly the usual value, now and then an odd one.
fn odd(random: &mut Random, usual: u64, odd: &[u64]) -> u64 {
    if random.once_in(6) {
        *random.pick(odd)
    } else {
        usual
    }
}

/// A PE program.
pub(super) fn pe(random: &mut Random) -> Vec<u8> {
    let plus = random.once_in(3);
    let count = if random.once_in(12) {
        0
    } else {
        random.range(1, 5)
    };
    let header_at = *random.pick(&[0x40, 0x40, 0x44, 0x41, 0x80]);
    let mut file = Writer::new(false);
    file.bytes.extend_from_slice(b"MZ");
    file.fill_to(0x3c);
    file.long(header_at as u64);
    file.fill_to(header_at);
    file.bytes.extend_from_slice(b"PE\0\0");
    file.half(if plus { 0x8664 } else { 0x14c });
    file.half(count as u64);
    file.fill_to(header_at + 20);
    let least = if plus { 240 } else { 224 };
    let optional_length = odd(random, least, &[least - 1, least + 1, least + 8, 0x60]);
    file.half(optional_length);
    file.half(0x102);
    let optional_at = file.bytes.len();
    file.half(if plus { 0x20b } else { 0x10b });
    file.fill_to(optional_at + 16);
    let entry = odd(
        random,
        0x1000,
        &[0x1033, 0x11ff, 0x1200, 0x2010, 0x3004, 0x450, 0, 0x9000],
    );
    file.long(entry);
    file.fill_to(optional_at + 32);
    file.long(odd(random, 0x1000, &[0, 1, 0x10, 0x200, 0x1800, 0x2000]));
    file.long(odd(
        random,
        0x200,
        &[0, 1, 3, 0x10, 0x80, 0x180, 0x300, 0x400, 0x800, 0x1000],
    ));
    file.fill_to(optional_at + 56);
    file.long(0x10000);
    file.long(odd(random, 0x400, &[0, 0x100, 0x401, 0x1000, 0x1001]));
    file.fill_to(optional_at + usize::try_from(least).unwrap() - 132);
    file.long(16);
    file.fill_to(optional_at + usize::try_from(optional_length.max(least)).unwrap());
    for index in 0..count as u64 {
        let usual = 0x400 + 0x200 * index;
        file.bytes.extend_from_slice(b".section");
        file.long(odd(random, 0x200, &[0, 0x100, 0x3000]));
        file.long(odd(
            random,
            0x1000 * (index + 1),
            &[0x1000, 0x1010, 0x2000, 0x7fff_f000],
        ));
        file.long(odd(
            random,
            0x200,
            &[0, 0x11, 0x1ff, 0x201, 0x2000, 0x7fff_ffff],
        ));
        file.long(odd(
            random,
            usual,
            &[
                0,
                usual + 1,
                usual + 0x10,
                usual + 0x1ff,
                0x13ff,
                0x1400,
                0x8000,
            ],
        ));
        file.fill_to(file.bytes.len() + 12);
        file.long(0x6000_0020);
    }
    file.finish()
}

/// An ELF program. It has sections always: without them clamscan dies.
pub(super) fn elf(random: &mut Random) -> Vec<u8> {
    let wide = random.once_in(2);
    let mut file = Writer::new(random.once_in(2));
    let (class, header, segment, section) = if wide {
        (2, 64, 56, 64)
    } else {
        (1, 52, 32, 40)
    };
    let segments = random.below(4);
    let sections = random.range(1, 5);
    file.bytes.extend_from_slice(b"\x7fELF");
    file.bytes
        .extend_from_slice(&[class, 1 + u8::from(file.big), 1]);
    file.fill_to(16);
    file.half(*random.pick(&[1, 2, 3, 4]));
    file.half(*random.pick(&[3, 62, 8, 40]));
    file.long(1);
    let word = |file: &mut Writer, value| file.number(value, if wide { 8 } else { 4 });
    let entry = odd(
        random,
        0x0040_0400,
        &[
            0x0040_0433,
            0x0040_06ff,
            0x0040_0700,
            0x0040_0900,
            0,
            0x50_0000,
        ],
    );
    word(&mut file, entry);
    word(&mut file, 0x40);
    word(&mut file, 0x40 + 3 * segment);
    file.long(0);
    file.half(header);
    file.half(odd(random, segment, &[segment + 1]));
    file.half(segments as u64);
    file.half(odd(random, section, &[section + 1]));
    file.half(sections as u64);
    file.half(0);
    file.fill_to(0x40);
    for index in 0..segments as u64 {
        let kind = *random.pick(&[1, 1, 1, 4, 6]);
        let start = odd(random, 0x300 + 0x300 * index, &[0, 0x8000, 0x421]);
        let address = odd(
            random,
            0x0040_0300 + 0x300 * index,
            &[0x0040_0000, 0x0040_0400],
        );
        let length = odd(random, 0x400, &[0, 0x100, 0x10000]);
        let memory = odd(random, length, &[length + 0x200, 0]);
        file.long(kind);
        if wide {
            file.long(5);
        }
        for value in [start, address, address, length, memory] {
            word(&mut file, value);
        }
        if !wide {
            file.long(5);
        }
        word(&mut file, 0x1000);
    }
    file.fill_to(0x40 + usize::try_from(3 * segment).unwrap());
    for index in 0..sections as u64 {
        let kind = odd(random, 1, &[0, 3, 8]);
        let start = odd(
            random,
            0x400 + 0x180 * index,
            &[0, 0x421, 0x13ff, 0x1400, 0x8000],
        );
        let length = odd(random, 0x100, &[0, 0x133, 0x5000]);
        file.long(0);
        file.long(kind);
        for value in [6, 0x0040_0000 + start, start, length] {
            word(&mut file, value);
        }
        file.long(0);
        file.long(0);
        word(&mut file, 0);
        word(&mut file, 0);
    }
    file.finish()
}

/// A Mach-O program without a place where it begins, which clamscan reads for PowerPC alone.
pub(super) fn macho(random: &mut Random) -> Vec<u8> {
    let wide = random.once_in(2);
    let mut file = Writer::new(random.once_in(2));
    file.long(if wide { 0xfeed_facf } else { 0xfeed_face });
    file.long(if wide { 0x0100_0007 } else { 7 });
    file.long(3);
    file.long(6);
    let segments = random.range(1, 2);
    let counts: Vec<usize> = (0..segments).map(|_| random.range(1, 2)).collect();
    let (segment, section) = if wide { (72, 80) } else { (56, 68) };
    file.long(segments as u64);
    file.long(
        counts
            .iter()
            .map(|count| (segment + section * count) as u64)
            .sum(),
    );
    file.long(0);
    if wide {
        file.long(0);
    }
    let mut index = 0;
    for count in counts {
        file.long(if wide { 0x19 } else { 1 });
        file.long((segment + section * count) as u64);
        file.bytes.extend_from_slice(&[b'S'; 16]);
        for value in [0x1000, 0x1000, 0x300, 0x300] {
            file.number(value, if wide { 8 } else { 4 });
        }
        for value in [7, 5, count as u64, 0] {
            file.long(value);
        }
        for _ in 0..count {
            let start = odd(
                random,
                0x400 + 0x180 * index,
                &[0, 0x421, 0x13ff, 0x1400, 0x8000],
            );
            file.bytes.extend_from_slice(&[b's'; 32]);
            file.number(0x1400 + 0x180 * index, if wide { 8 } else { 4 });
            let length = odd(random, 0x100, &[0, 0x133, 0x5000]);
            file.number(length, if wide { 8 } else { 4 });
            file.long(start);
            for _ in 0..if wide { 7 } else { 6 } {
                file.long(0);
            }
            index += 1;
        }
    }
    file.finish()
}
