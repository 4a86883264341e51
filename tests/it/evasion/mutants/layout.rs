//! Where the headers of containers lie, and the numbers in them: as much as mutations need to aim at.

use std::ops::Range;

/// How a number is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Little,
    Big,
    Octal,
    Hex,
    /// With blanks behind it, in a field of fixed width.
    Decimal,
    /// As long as it is.
    Loose,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) at: usize,
    pub(super) width: usize,
    pub(super) form: Form,
}

#[derive(Default)]
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    /// What can be doubled, cut and moved: from one header to the next.
    pub(super) records: Vec<Range<usize>>,
}

/// A header that begins with a mark, and its fields from there on: where, and how wide.
struct Header {
    mark: &'static [u8],
    form: Form,
    fields: &'static [(usize, usize)],
}

const fn header(mark: &'static [u8], form: Form, fields: &'static [(usize, usize)]) -> Header {
    Header { mark, form, fields }
}

fn marked(bytes: &[u8], headers: &[Header]) -> Layout {
    let mut starts = Vec::new();
    let mut fields = Vec::new();
    for header in headers {
        for start in memchr::memmem::find_iter(bytes, header.mark) {
            starts.push(start);
            let all = header.fields.iter().map(|(at, width)| Field {
                at: start + at,
                width: *width,
                form: header.form,
            });
            fields.extend(all.filter(|field| field.at + field.width <= bytes.len()));
        }
    }
    Layout {
        fields,
        records: between(starts, bytes.len()),
    }
}

/// From each start to the next.
fn between(mut starts: Vec<usize>, end: usize) -> Vec<Range<usize>> {
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).copied().chain([end]);
    starts
        .iter()
        .zip(ends)
        .map(|(from, to)| *from..to)
        .collect()
}

/// What is not known better: numbers at the start, and at the end.
fn loose(bytes: &[u8], form: Form) -> Layout {
    let end = bytes.len();
    let near = (0..end.min(128)).chain(end.saturating_sub(64)..end);
    let fields = near.flat_map(|at| {
        [1, 2, 4, 8]
            .into_iter()
            .filter(move |width| at % width == 0 && at + width <= end)
            .map(move |width| Field { at, width, form })
    });
    Layout {
        fields: fields.collect(),
        records: Vec::new(),
    }
}

pub(super) fn little(bytes: &[u8]) -> Layout {
    loose(bytes, Form::Little)
}

pub(super) fn big(bytes: &[u8]) -> Layout {
    loose(bytes, Form::Big)
}

/// Blocks of a size, the first ones of which hold what leads to the others.
fn blocks(bytes: &[u8], size: usize, form: Form) -> Layout {
    let starts: Vec<usize> = (0..bytes.len()).step_by(size).collect();
    let used = starts
        .iter()
        .filter(|start| bytes[**start..].iter().take(size).any(|byte| *byte != 0));
    let fields = used.flat_map(|start| {
        (*start..start + size)
            .step_by(2)
            .flat_map(|at| [2, 4].map(|width| Field { at, width, form }))
            .filter(|field| {
                let value = bytes.get(field.at..field.at + field.width);
                value.is_some_and(|value| value.iter().any(|byte| *byte != 0))
            })
    });
    Layout {
        fields: fields.collect(),
        records: between(starts.clone(), bytes.len()),
    }
}

pub(super) fn zip(bytes: &[u8]) -> Layout {
    use Form::Little;
    let local = &[
        (0, 4),
        (4, 2),
        (6, 2),
        (8, 2),
        (14, 4),
        (18, 4),
        (22, 4),
        (26, 2),
        (28, 2),
    ];
    let central = &[
        (0, 4),
        (6, 2),
        (8, 2),
        (10, 2),
        (16, 4),
        (20, 4),
        (24, 4),
        (28, 2),
        (30, 2),
        (32, 2),
        (34, 2),
        (38, 4),
        (42, 4),
    ];
    let end = &[
        (0, 4),
        (4, 2),
        (6, 2),
        (8, 2),
        (10, 2),
        (12, 4),
        (16, 4),
        (20, 2),
    ];
    let end64 = &[
        (4, 8),
        (12, 2),
        (14, 2),
        (16, 4),
        (20, 4),
        (24, 8),
        (32, 8),
        (40, 8),
        (48, 8),
    ];
    marked(
        bytes,
        &[
            header(b"PK\x03\x04", Little, local),
            header(b"PK\x01\x02", Little, central),
            header(b"PK\x05\x06", Little, end),
            header(b"PK\x06\x06", Little, end64),
            header(b"PK\x06\x07", Little, &[(4, 4), (8, 8), (16, 4)]),
            header(b"PK\x07\x08", Little, &[(0, 4), (4, 4), (8, 4), (12, 4)]),
        ],
    )
}

pub(super) fn tar(bytes: &[u8]) -> Layout {
    let mut layout = blocks(bytes, 512, Form::Little);
    layout.fields.clear();
    for block in &layout.records {
        let start = block.start;
        if block.len() < 512 || bytes[start] == 0 {
            continue;
        }
        // Mode, size, time, checksum, numbers of devices; then the type, the magic, and GNU's fields of sparse files.
        let octal = [
            (100, 7),
            (124, 11),
            (124, 12),
            (136, 11),
            (148, 6),
            (329, 7),
            (337, 7),
        ];
        let gnu = [(386, 11), (398, 11), (410, 11), (422, 11), (483, 11)];
        let is_gnu = &bytes[start + 257..start + 264] == b"ustar  ";
        let gnu = if is_gnu { &gnu[..] } else { &[] };
        for (at, width) in octal.iter().chain(gnu) {
            layout.fields.push(Field {
                at: start + at,
                width: *width,
                form: Form::Octal,
            });
        }
        for (at, width) in [
            (0, 1),
            (124, 1),
            (156, 1),
            (156, 1),
            (157, 1),
            (257, 4),
            (345, 1),
            (482, 1),
        ] {
            layout.fields.push(Field {
                at: start + at,
                width,
                form: Form::Little,
            });
        }
    }
    // And the numbers in extended headers.
    let text = lines(bytes);
    let digits = text.fields.iter().filter(|field| field.width < 7);
    layout.fields.extend(digits);
    layout
}

pub(super) fn cpio(bytes: &[u8]) -> Layout {
    const NEWC: &[(usize, usize)] = &[
        (6, 8),
        (14, 8),
        (38, 8),
        (54, 8),
        (54, 8),
        (94, 8),
        (94, 8),
        (102, 8),
    ];
    const ODC: &[(usize, usize)] = &[
        (6, 6),
        (18, 6),
        (36, 6),
        (59, 6),
        (59, 6),
        (65, 11),
        (65, 11),
    ];
    const BINARY: &[(usize, usize)] =
        &[(0, 2), (6, 2), (20, 2), (20, 2), (22, 2), (22, 4), (24, 2)];
    marked(
        bytes,
        &[
            header(b"070701", Form::Hex, NEWC),
            header(b"070702", Form::Hex, NEWC),
            header(b"070707", Form::Octal, ODC),
            header(b"\xc7\x71", Form::Little, BINARY),
            header(b"\x71\xc7", Form::Big, BINARY),
        ],
    )
}

pub(super) fn ar(bytes: &[u8]) -> Layout {
    let mut layout = marked(
        bytes,
        // The end of a header; what is before it belongs to it.
        &[header(b"`\n", Form::Decimal, &[(0, 1), (1, 1)])],
    );
    let ends: Vec<usize> = memchr::memmem::find_iter(bytes, b"`\n").collect();
    let starts: Vec<usize> = ends.iter().filter_map(|end| end.checked_sub(58)).collect();
    for start in &starts {
        for (at, width) in [(48, 10), (48, 10), (40, 8), (16, 12)] {
            layout.fields.push(Field {
                at: start + at,
                width,
                form: Form::Decimal,
            });
        }
        layout.fields.push(Field {
            at: *start,
            width: 1,
            form: Form::Little,
        });
    }
    layout.records = between(starts, bytes.len());
    layout
}

pub(super) fn gzip(bytes: &[u8]) -> Layout {
    let mut layout = marked(
        bytes,
        &[header(
            b"\x1f\x8b",
            Form::Little,
            &[
                (0, 2),
                (2, 1),
                (3, 1),
                (3, 1),
                (4, 4),
                (8, 1),
                (9, 1),
                (10, 2),
            ],
        )],
    );
    let end = bytes.len();
    let trailer = [(8, 4), (4, 4)].iter().filter(|(at, _)| *at <= end);
    layout.fields.extend(trailer.map(|(at, width)| Field {
        at: end - at,
        width: *width,
        form: Form::Little,
    }));
    layout
}

pub(super) fn cab(bytes: &[u8]) -> Layout {
    let mut layout = marked(
        bytes,
        &[header(
            b"MSCF",
            Form::Little,
            &[
                (0, 4),
                (8, 4),
                (16, 4),
                (16, 4),
                (24, 2),
                (26, 2),
                (28, 2),
                (30, 2),
                (34, 2),
                (36, 4),
                (40, 2),
                (42, 2),
                (44, 4),
                (48, 4),
                (52, 2),
                (54, 2),
                (58, 2),
                (60, 4),
            ],
        )],
    );
    layout.fields.extend(little(bytes).fields);
    layout
}

pub(super) fn rar(bytes: &[u8]) -> Layout {
    let mut layout = little(bytes);
    layout.records = between(
        super::mend::rar_blocks(bytes)
            .map(|block| block.start)
            .collect(),
        bytes.len(),
    );
    let starts = layout.records.iter().map(|block| block.start);
    let fields = starts.flat_map(|start| {
        (start..(start + 32).min(bytes.len())).map(|at| Field {
            at,
            width: 1,
            form: Form::Little,
        })
    });
    layout.fields.extend(fields.collect::<Vec<_>>());
    layout
}

pub(super) fn iso(bytes: &[u8]) -> Layout {
    // Descriptors, tables and folders lie before the files.
    let head = &bytes[..bytes.len().min(32 * 2048)];
    let mut layout = blocks(head, 2048, Form::Little);
    layout.fields.retain(|field| field.at >= 16 * 2048);
    layout.records.retain(|record| record.start >= 16 * 2048);
    layout
}

pub(super) fn sectors(bytes: &[u8]) -> Layout {
    blocks(bytes, 512, Form::Little)
}

/// A text: its lines, and the numbers in it.
pub(super) fn lines(bytes: &[u8]) -> Layout {
    let ends = memchr::memchr_iter(b'\n', bytes).map(|at| at + 1);
    let starts = [0].into_iter().chain(ends).filter(|at| *at < bytes.len());
    let mut fields = Vec::new();
    let mut at = 0;
    for part in bytes.chunk_by(|one, other| one.is_ascii_digit() == other.is_ascii_digit()) {
        if part[0].is_ascii_digit() && part.len() < 20 {
            fields.push(Field {
                at,
                width: part.len(),
                form: Form::Loose,
            });
        }
        at += part.len();
    }
    Layout {
        fields,
        records: between(starts.collect(), bytes.len()),
    }
}
