use super::*;
use crate::expand::damage;
use crate::expand::testing::{Random, Recorder, expand, mutations, tool, tree, withstand};
use std::fs;
use std::io::Write;

fn run(bytes: &[u8]) -> Recorder {
    expand(&Program, bytes, b"program")
}

/// A 32-bit PE program of one section with this content, and what is appended.
fn pe(content: &[u8], appended: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 0x200];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    let length = u32::try_from(content.len().next_multiple_of(0x200)).unwrap();
    put(0, b"MZ\x90\0\x03\0\0\0\x04\0");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0\x4c\x01\x01\0");
    put(0x94, &224_u16.to_le_bytes());
    put(0x98, &0x10b_u16.to_le_bytes());
    put(0x98 + 16, &0x1000_u32.to_le_bytes());
    put(0x98 + 28, &0x40_0000_u32.to_le_bytes());
    put(0x98 + 32, &0x1000_u32.to_le_bytes());
    put(0x98 + 36, &0x200_u32.to_le_bytes());
    put(
        0x98 + 56,
        &(0x1000 + length.next_multiple_of(0x1000)).to_le_bytes(),
    );
    put(0x98 + 60, &0x200_u32.to_le_bytes());
    put(0x98 + 92, &16_u32.to_le_bytes());
    put(0x178, b".data\0\0\0");
    put(0x180, &length.to_le_bytes());
    put(0x184, &0x1000_u32.to_le_bytes());
    put(0x188, &length.to_le_bytes());
    put(0x18c, &0x200_u32.to_le_bytes());
    bytes.extend_from_slice(content);
    bytes.resize(0x200 + length as usize, 0);
    bytes.extend_from_slice(appended);
    bytes
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn zipped(content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file("a.txt", options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

/// Something that no row knows.
fn filler(count: usize) -> Vec<u8> {
    vec![b'.'; count]
}

#[test]
fn what_is_in_a_program_is_given_whole_and_once() {
    let text = b"text ".repeat(2000);
    let (gz, zip) = (gzipped(&text), zipped(&text));
    let inner = pe(&filler(100), b"its own appendix");
    let places: [(&[u8], &[&[u8]]); 5] = [
        (&gz, &[&gz]),
        (&zip, &[&zip]),
        (&[&gz[..], &filler(7), &zip].concat(), &[&gz, &zip]),
        (&[&zip[..], &gz].concat(), &[&zip, &gz]),
        (
            &[&inner[..], &pe(b"2", b"")].concat(),
            &[&inner, &pe(b"2", b"")],
        ),
    ];
    for (content, expected) in places {
        let within = [&filler(333), content, &filler(5)].concat();
        let appended = [content, &filler(5)].concat();
        for bytes in [
            pe(&within, b""),
            pe(b"", &appended),
            [&fs::read("/bin/true").unwrap()[..], &appended].concat(),
        ] {
            let got = run(&bytes);
            // A zip near the end is opened as such, beside the program.
            let kinds = recognise(&crate::expand::testing::object(&bytes).probe().unwrap());
            let zips = kinds.iter().any(|kind| kind.name == "zip");
            let expected: Vec<_> = (expected.iter())
                .filter(|thing| !zips || !thing.starts_with(b"PK"))
                .collect();
            assert_eq!(got.gaps, [], "{:?}", got.names());
            assert_eq!(got.children.len(), expected.len(), "{:?}", got.names());
            for ((name, child), expected) in got.children.iter().zip(expected) {
                let name = String::from_utf8_lossy(name);
                // A program has no end of its own: what follows may belong to it.
                let program = expected.starts_with(b"MZ") && child.starts_with(expected);
                assert!(program || child == *expected, "{name}");
            }
        }
    }
}

#[test]
fn a_magic_without_a_sound_header_is_nobodys_archive() {
    let magics = b"7z\xbc\xaf\x27\x1c Rar!\x1a\x07\0 Rar!\x1a\x07\x01\0 RE\x7e\x5e MSCF\0\0\0\0 PK\x03\x04 PK\x05\x06 \
        \x1f\x8b\x08\0 \xfd7zXZ\0 BZh9 BZh91AY&SY \x28\xb5\x2f\xfd LZIP\x01 \xef\xbe\xad\xdeNullsoftInst \
        \xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 PE\0\0\x4c\x01 \x7fELF\x02\x01\x01 hsqs **ACE** -lh5- ISc( Inno Setup Setup Data ( AU3!EA06 \
        MSWIM\0\0\0 ITSF\x03\0\0\0\x60\0\0\0 \x89LZO\0\r\n\x1a\n \x04\x22\x4d\x18 \x60\xea InstallShield\0\x01";
    let mut random = Random::new(11);
    for _ in 0..300 {
        let mut content = Vec::new();
        for magic in magics.split(|byte| *byte == b' ') {
            content.extend_from_slice(magic);
            let count = random.below(80);
            content.extend(random.bytes(count));
        }
        let got = run(&pe(&content, b""));
        let found = got
            .children
            .first()
            .map(|(_, found)| found.escape_ascii().to_string());
        assert_eq!((found, got.gaps), (None, vec![]));
    }
}

/// The first header of an archive of ARJ.
fn arj() -> Vec<u8> {
    let header = [34; 34];
    let sum = crc32fast::hash(&header).to_le_bytes();
    [&[0x60, 0xea, 34, 0][..], &header, &sum, b"\0\0"].concat()
}

#[test]
fn zeros_or_symbols_may_lie_between_a_program_and_what_is_appended() {
    let zlib = {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(&b"text ".repeat(100)).unwrap();
        writer.finish().unwrap()
    };
    let mut with_symbols = pe(b"", b"");
    let end = u32::try_from(with_symbols.len()).unwrap();
    with_symbols[0x8c..0x90].copy_from_slice(&end.to_le_bytes());
    with_symbols[0x90] = 2;
    with_symbols.extend([7; 36]);
    with_symbols.extend(8_u32.to_le_bytes());
    with_symbols.extend(b"abc\0");
    for archive in [&arj(), &zlib] {
        for before in [pe(b"", b""), pe(b"", &[0; 700]), with_symbols.clone()] {
            let got = run(&[&before, &archive[..]].concat());
            assert_eq!(got.children.len(), 1, "{} bytes", before.len());
            assert_eq!(got.children[0].1, *archive);
        }
    }
}

/// A script with an archive behind it, or a picture.
#[test]
fn what_is_told_to_be_nothing_else_is_looked_through() {
    let script = b"#!/bin/sh\ntail -c +40 $0 | gunzip\nexit\n";
    for archive in [gzipped(b"abc"), arj()] {
        let bytes = [&script[..], &archive].concat();
        let probe = crate::expand::testing::object(&bytes).probe().unwrap();
        assert!(recognise(&probe).is_empty() && may_hide(&probe));
        let got = expand(&Carver, &bytes, b"x.run");
        assert_eq!(
            got.children,
            [(format!("(at {:#x})", script.len()).into_bytes(), archive)]
        );
    }
    let probe = crate::expand::testing::object(script).probe().unwrap();
    assert!(!may_hide(&probe));
}

/// All samples of each kind that has a mark long enough, or a header with a checksum.
#[test]
fn archives_are_found_behind_anything() {
    const KINDS: [&str; 23] = [
        "7z", "CAB", "RAR", "TNEF", "Z", "ar", "arj", "bz2", "cpio", "gz", "iso", "lha", "lz4",
        "lzip", "lzop", "onenote", "rpm", "squashfs", "szdd", "tar", "wim", "xar", "zstd",
    ];
    let samples = damage::samples();
    let front = b"front\x01";
    for kind in KINDS {
        for sample in &samples[kind] {
            // The old form of cpio has two bytes.
            if matches!(sample[..2], [0xc7, 0x71] | [0x71, 0xc7]) {
                continue;
            }
            let got = expand(&Carver, &[&front[..], sample].concat(), b"x");
            let is_found = (got.children.iter())
                .any(|(name, content)| name == b"(at 0x6)" && sample.starts_with(content));
            assert!(is_found, "{kind}: {:?}", got.names());
        }
    }
    let far = [&b"text ".repeat(300_000)[..], b"\x01", &arj()].concat();
    assert_eq!(expand(&Carver, &far, b"x").children[0].1, arj());
}

#[test]
fn streams_with_a_wrong_checksum_or_none_are_found() {
    let content = b"this is the content of a stream, and ".repeat(8);
    // The program, what it is told, the end of the name, the byte from the end that is wrong.
    let rows = [
        ("gzip", "-k", ".gz", 5),
        ("bzip2", "-k", ".bz2", 3),
        ("zstd", "-qk", ".zst", 1),
        ("lz4", "-mq", ".lz4", 1),
        ("lzip", "-k", ".lz", 20),
        ("xz", "-k", ".xz", 12),
    ];
    for (program, option, suffix, wrong) in rows {
        let Some(folder) = tool(program) else {
            continue;
        };
        folder.write("content", &content);
        folder.run(program, &[option, "content"]);
        let mut packed = folder.read(&format!("content{suffix}"));
        let at = packed.len() - wrong;
        packed[at] ^= 0x55;
        let bytes = [&b"front\x01"[..], &packed, b"between", &gzipped(b"x")].concat();
        for bytes in [&bytes, &bytes[..6 + at]] {
            let got = expand(&Carver, bytes, b"x");
            assert_eq!(
                got.names().first().unwrap_or(&String::new()),
                "(at 0x6)",
                "{program}"
            );
        }
    }
}

#[test]
fn hits_lie_across_the_steps_in_which_it_is_read() {
    let gz = gzipped(b"abc");
    for before in (crate::object::CHUNK - 0x200 - 40)..(crate::object::CHUNK - 0x200 + 40) {
        let got = run(&pe(&[&filler(before), &gz[..]].concat(), b""));
        assert_eq!(got.children.len(), 1, "{before}");
    }
}

#[test]
fn more_than_anybody_puts_into_a_program_is_said() {
    let got = run(&pe(&gzipped(b"a").repeat(1).repeat(1), b""));
    assert_eq!(got.children.len(), 1);
    let one = [&gzipped(b"a")[..], b"-"].concat();
    let got = run(&pe(&one.repeat(1100), b""));
    assert_eq!(
        (got.children.len(), got.reasons()),
        (1024, vec!["limit/members"])
    );
    let got = run(&pe(&b"BZh".repeat(70_000), b""));
    assert_eq!(
        (got.children.len(), got.reasons()),
        (0, vec!["limit/members"])
    );
}

#[test]
fn programs_one_behind_the_other_are_not_opened_one_in_the_other() {
    let one = pe(b"one", b"");
    let got = run(&pe(b"", &one.repeat(20)));
    assert_eq!(got.children.len(), 20);
    assert!(got.children.iter().all(|(_, child)| *child == one));
}

/// A program with this resource of type RCDATA.
fn with_resource(resource: &[u8]) -> Vec<u8> {
    let mut tree = Vec::new();
    let folder = |id: u32, to: u32| {
        let mut bytes = vec![0; 12];
        bytes.extend([0, 0, 1, 0]);
        bytes.extend(id.to_le_bytes());
        bytes.extend(to.to_le_bytes());
        bytes
    };
    tree.extend(folder(10, 1 << 31 | 24));
    tree.extend(folder(1 << 31 | 88, 1 << 31 | 48));
    tree.extend(folder(1033, 72));
    tree.extend((0x1000_u32 + 100).to_le_bytes());
    tree.extend(u32::try_from(resource.len()).unwrap().to_le_bytes());
    tree.extend([0; 8]);
    tree.extend([3, 0, b'C', 0, 0xe4, 0, b'B', 0]);
    tree.resize(100, 0);
    tree.extend(resource);
    let mut bytes = pe(&tree, b"");
    bytes[0x98 + 112..][..4].copy_from_slice(&0x1000_u32.to_le_bytes());
    bytes[0x98 + 116..][..4].copy_from_slice(&100_u32.to_le_bytes());
    bytes
}

#[test]
fn resources_are_given_by_their_names() {
    let tar = {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        header.set_size(3);
        builder.append_data(&mut header, "a", &b"abc"[..]).unwrap();
        builder.into_inner().unwrap()
    };
    for resource in [tar, pe(b"x", b""), zipped(&Random::new(1).bytes(999))] {
        let got = run(&with_resource(&resource));
        assert_eq!(
            (got.names(), &got.gaps),
            (vec!["RCDATA/CäB/1033".to_owned()], &vec![])
        );
        assert_eq!(got.children[0].1, resource);
    }
    let got = run(&with_resource(&filler(1000)));
    assert_eq!((got.names(), got.gaps), (vec![], vec![]));
}

#[test]
fn a_tree_of_resources_that_leads_back_ends() {
    let mut bytes = with_resource(&zipped(b"x"));
    // The second folder holds the first.
    bytes[0x200 + 24 + 20..][..4].copy_from_slice(&(1_u32 << 31).to_le_bytes());
    let got = run(&bytes);
    assert_eq!(got.reasons(), ["limit/members"]);
}

#[test]
fn programs_of_a_universal_binary() {
    let mut bytes = b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec();
    for (processor, at, length) in [(7_u32, 64_u32, 6_u32), (12, 70, 9)] {
        for number in [processor, 3, at, length, 0] {
            bytes.extend(number.to_be_bytes());
        }
    }
    bytes.resize(64, 0);
    bytes.extend(b"first.second");
    let got = run(&bytes);
    assert_eq!(
        got.names(),
        ["(processor 0x7 at 0x40)", "(processor 0xc at 0x46)"]
    );
    assert_eq!(
        (&got.children[0].1[..], &got.children[1].1[..]),
        (&b"first."[..], &b"second"[..])
    );
    assert_eq!(got.reasons(), ["corrupt"]);
}

/// Archives that real programs make, each behind a real program and in the middle of one.
#[test]
fn archives_of_real_programs_are_found_whole() {
    let makers: [(&str, &[&str], &str); 9] = [
        ("7z", &["a", "-bd", "x.7z", "tree"], "x.7z"),
        ("zip", &["-qr", "x.zip", "tree"], "x.zip"),
        ("gcab", &["-cz", "x.cab", "tree/one", "tree/two"], "x.cab"),
        ("arj", &["a", "-r", "-y", "x.arj", "tree"], "x.arj"),
        ("jlha", &["cq", "x.lzh", "tree"], "x.lzh"),
        ("xz", &["-k", "tree/one"], "tree/one.xz"),
        ("bzip2", &["-k", "tree/one"], "tree/one.bz2"),
        ("zstd", &["-q", "-k", "tree/one"], "tree/one.zst"),
        ("lzip", &["-k", "tree/one"], "tree/one.lz"),
    ];
    for (program, arguments, made) in makers {
        let Some(folder) = tool(program) else {
            continue;
        };
        folder.write("tree/one", &Random::new(4).bytes(3000));
        folder.write("tree/two", &b"two ".repeat(3000));
        folder.run(program, arguments);
        let archive = folder.read(made);
        let stub = fs::read("/bin/true").unwrap();
        for bytes in [
            [&stub[..], &archive].concat(),
            pe(&[&filler(99), &archive[..], &filler(99)].concat(), b""),
            pe(b"", &archive),
        ] {
            let got = run(&bytes);
            // A zip near the end is opened as such, beside the program.
            let zip_behind = program == "zip";
            let expected = usize::from(!zip_behind);
            assert_eq!(
                (got.children.len(), &got.gaps),
                (expected, &vec![]),
                "{program}"
            );
            assert!(
                // Where an archive of ARJ ends is not looked for.
                (got.children.iter()).all(|(_, child)| *child == archive
                    || program == "arj" && child.starts_with(&archive)),
                "{program}"
            );
        }
    }
}

/// The stub that 7z itself puts in front.
#[test]
fn archives_that_extract_themselves() {
    let Some(folder) = tool("7z") else { return };
    let files = tree(&folder, 5);
    assert!(!files.is_empty());
    for module in ["/usr/lib/p7zip/7zCon.sfx", "/usr/lib/7zip/7zCon.sfx"] {
        let Ok(stub) = fs::read(module) else { continue };
        folder.run("7z", &["a", "-bd", "x.7z", "tree"]);
        let archive = folder.read("x.7z");
        let config = b";!@Install@!UTF-8!\nTitle=\"x\"\n;!@InstallEnd@!";
        let got = run(&[&stub[..], config, &archive].concat());
        assert_eq!(got.gaps, []);
        assert_eq!(got.children.last().map(|(_, child)| child), Some(&archive));
    }
}

#[test]
fn damage_is_withstood() {
    let zip = zipped(b"some content");
    let bytes = with_resource(&[&zip[..], &filler(300)].concat());
    withstand(
        &Program,
        &[&bytes[..], &gzipped(b"x"), &pe(b"y", b"")].concat(),
        b"x",
    );
    let elf = fs::read("/bin/true").unwrap();
    mutations(&elf[..elf.len().min(3000)], 500, |bytes| drop(run(bytes)));
}

/// Everything that can be opened inside of a content, with the gaps that are said.
fn all_inside(
    bytes: &[u8],
    name: &[u8],
    depth: usize,
    seen: &mut Vec<(String, Vec<u8>)>,
    gaps: &mut Vec<String>,
) {
    let kinds = recognise(&crate::expand::testing::object(bytes).probe().unwrap());
    for kind in kinds {
        let Some(expander) = crate::expand::expander(kind) else {
            gaps.push(format!("unsupported/{}", kind.name));
            continue;
        };
        let got = expand(expander, bytes, name);
        for (member, reason, detail) in &got.gaps {
            let member = member.as_deref().map(String::from_utf8_lossy);
            gaps.push(format!("{reason} {member:?} {detail}"));
        }
        for (member, content) in got.children {
            let path = format!(
                "{}/{}",
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(&member)
            );
            if depth > 0 {
                all_inside(&content, path.as_bytes(), depth - 1, seen, gaps);
            }
            seen.push((path, content));
        }
    }
}

#[test]
fn a_packed_program_that_is_not_unpacked_is_said() {
    let mut elf = fs::read("/bin/true").unwrap();
    elf.truncate(5000);
    elf[0x200..0x204].copy_from_slice(b"UPX!");
    elf.extend(b"UPX!\0\0\0\0");
    assert_eq!(run(&elf).reasons(), ["unsupported/packed-upx"]);
    let mut wide = pe(b"\x53\x56\x57\x55\x48\x8d\x35", b"");
    wide[0x84..0x86].copy_from_slice(b"\x64\x86");
    assert_eq!(run(&wide).reasons(), ["unsupported/packed-upx"]);
    // A stub that does nothing but end.
    let nothing = pe(b"\x60\xbe\0\0\0\0\x8d\xbe\0\0\0\0\x61\xc3", b"");
    assert_eq!(run(&nothing).reasons(), ["unsupported/packed-upx"]);
    // One that never ends, and one that is in no memory.
    let huge = {
        let mut bytes = pe(b"\x60\xbe\0\0\0\0\x8d\xbe\0\0\0\0\x61\xc3", b"");
        bytes[0x98 + 56..][..4].copy_from_slice(&0x7fff_0000_u32.to_le_bytes());
        bytes
    };
    assert_eq!(run(&huge).reasons(), ["limit/memory"]);
}

/// The samples of clamav-testfiles: each has `clam.exe` in it.
#[test]
fn packed_programs_hold_what_was_packed() {
    const FOLDER: &str = "/usr/share/clamav-testfiles";
    let Ok(payload) = fs::read(format!("{FOLDER}/clam.exe")) else {
        return;
    };
    // Not here: compiled AutoIt scripts, and one whose payload lies in an OLE2 document.
    let samples = [
        "clam-aspack.exe",
        "clam-fsg.exe",
        "clam-mew.exe",
        "clam-nsis.exe",
        "clam-pespin.exe",
        "clam-petite.exe",
        "clam-upack.exe",
        "clam-upx.exe",
        "clam-wwpack.exe",
        "clam-yc.exe",
        "clam_IScab_ext.exe",
        "clam_IScab_int.exe",
        "clam_ISmsi_ext.exe",
    ];
    let mut missed = Vec::new();
    for sample in samples {
        let bytes = fs::read(format!("{FOLDER}/{sample}")).unwrap();
        let (mut seen, mut gaps) = (Vec::new(), Vec::new());
        all_inside(&bytes, b"", 6, &mut seen, &mut gaps);
        let found = seen.iter().any(|(_, content)| *content == payload);
        if !found {
            missed.push(sample);
        }
        assert!(found || !gaps.is_empty(), "{sample} in silence");
    }
    assert_eq!(missed, [""; 0]);
}

/// As many leaves in one folder as a folder of names has had for its limit, and one more.
#[test]
fn a_resource_behind_many_others_is_given() {
    const COUNT: usize = 4097;
    let folder = |count: usize| {
        let mut bytes = vec![0; 16];
        bytes[14..16].copy_from_slice(&u16::try_from(count).unwrap().to_le_bytes());
        bytes
    };
    let inner = zipped(b"x");
    let leaves = 24 + 16 + 8 * COUNT;
    let mut tree = folder(1);
    tree.extend([10, 1 << 31 | 24].map(u32::to_le_bytes).concat());
    tree.extend(folder(COUNT));
    for id in 0..COUNT {
        let leaf = leaves + if id + 1 == COUNT { 16 } else { 0 };
        tree.extend(
            [id, leaf]
                .map(|number| (number as u32).to_le_bytes())
                .concat(),
        );
    }
    let content = 0x1000 + leaves + 32;
    for length in [0, inner.len()] {
        tree.extend(
            [content, length, 0, 0]
                .map(|number| (number as u32).to_le_bytes())
                .concat(),
        );
    }
    tree.extend(&inner);
    let mut bytes = pe(&tree, b"");
    bytes[0x98 + 112..][..8].copy_from_slice(&[0x1000, 0x8000_u32].map(u32::to_le_bytes).concat());
    let got = run(&bytes);
    assert_eq!(
        (got.names(), got.gaps),
        (vec!["RCDATA/4096".to_owned()], vec![])
    );
}

/// A folder of 4,096 entries, each of which is the folder itself.
#[test]
fn folders_of_resources_that_lie_over_each_other_are_followed_for_a_while() {
    let mut folder = vec![0; 16];
    folder[14..16].copy_from_slice(&4096_u16.to_le_bytes());
    folder.extend(0x8000_0000_0000_0001_u64.to_le_bytes().repeat(4096));
    let mut bytes = pe(&folder, b"");
    let directory = [0x1000_u32, 0x8000].map(u32::to_le_bytes).concat();
    bytes[0x98 + 112..][..8].copy_from_slice(&directory);
    let got = run(&bytes);
    assert_eq!(
        (got.reasons(), got.children.len()),
        (vec!["limit/members"], 0)
    );
}

/// Each local header could belong to each of the records that end an archive, and none does.
#[test]
fn local_headers_without_their_archive_are_looked_at_for_a_while() {
    let mut header = b"PK\x03\x04\x14\0\x08\0\x08\0".to_vec();
    header.resize(26, 0);
    header.extend([1, 0, 0, 0, b'n']);
    let record = [&b"PK\x05\x06"[..], &[1; 18]].concat();
    let bytes = [header.repeat(20_000), record.repeat(64), filler(70_000)].concat();
    let got = run(&pe(&bytes, b""));
    assert_eq!(
        (got.reasons(), got.children.len()),
        (vec!["limit/members"], 0)
    );
}
