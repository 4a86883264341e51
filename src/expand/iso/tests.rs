use super::*;
use crate::expand::testing::{
    Folder, Recorder, assert_holds, expand, object, said, tool, tree, withstand,
};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Iso, bytes, b"x.iso")
}

/// A number in both byte orders.
fn both(number: usize) -> Vec<u8> {
    let number = u32::try_from(number).unwrap();
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

fn record(name: &[u8], block: usize, size: usize, flags: u8, system: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(both(block));
    out.extend(both(size));
    out.extend([0; 7]);
    out.extend([flags, 0, 0, 1, 0, 0, 1]);
    out.push(u8::try_from(name.len()).unwrap());
    out.extend(name);
    out.resize(out.len().next_multiple_of(2), 0);
    out.extend(system);
    out[0] = u8::try_from(out.len()).unwrap();
    out
}

fn descriptor(kind: u8, root: usize, blocks: usize, table: (usize, usize)) -> Vec<u8> {
    let mut out = vec![0; 2048];
    out[0] = kind;
    out[1..7].copy_from_slice(b"CD001\x01");
    out[80..88].copy_from_slice(&both(blocks));
    out[120] = 1;
    out[124] = 1;
    out[129] = 8;
    out[128] = 0;
    out[132..140].copy_from_slice(&both(table.0));
    out[140..144].copy_from_slice(&both(table.1)[..4]);
    let root = record(b"\0", root, 2048, FOLDER, b"");
    out[156..156 + root.len()].copy_from_slice(&root);
    out
}

const FOLDER: u8 = 2;

/// An image of these sectors from the 16th on.
fn image(sectors: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; 16 * 2048];
    for sector in sectors {
        out.extend(sector);
        out.resize(out.len().next_multiple_of(2048), 0);
    }
    out
}

/// One tree at sector 18 with these records, and these sectors from the 19th on.
fn plain_image(records: &[Vec<u8>], rest: &[Vec<u8>]) -> Vec<u8> {
    let blocks = 19 + rest.len();
    let dots = [
        record(b"\0", 18, 2048, FOLDER, b""),
        record(b"\x01", 18, 2048, FOLDER, b""),
    ];
    let first = [
        descriptor(1, 18, blocks, (0, 0)),
        descriptor(255, 0, 0, (0, 0)),
        [dots.concat(), records.concat()].concat(),
    ];
    image(&[&first[..], rest].concat())
}

#[test]
fn a_folder_and_its_files() {
    let bytes = plain_image(
        &[
            record(b"A.TXT;1", 19, 5, 0, b""),
            record(b"SUB", 20, 2048, FOLDER, b""),
            record(b"NONE.;1", 0, 0, 0, b""),
        ],
        &[
            b"first".to_vec(),
            record(b"B.;12", 21, 6, 0, b""),
            b"second".to_vec(),
        ],
    );
    let got = run(&bytes);
    assert_eq!(
        (got.names(), &got.gaps, &got.notes),
        (
            ["A.TXT", "NONE", "SUB/B"].map(str::to_owned).to_vec(),
            &vec![],
            &vec![]
        )
    );
    assert_eq!(got.children[2].1, b"second");
    let raw: Vec<u8> = (bytes.chunks(2048))
        .flat_map(|sector| {
            let head = [&[0][..], &[0xff; 10], b"\0\0\x02\0\x01"].concat();
            [&head[..], sector, &[7; 288]].concat()
        })
        .collect();
    assert_eq!(run(&raw).children, got.children);
    assert_eq!(run(&raw).gaps, []);
    let with_subchannels = (raw.chunks(2352)).flat_map(|sector| [sector, &[7; 96]].concat());
    let without_sync = bytes
        .chunks(2048)
        .flat_map(|sector| [&[0; 8], sector, &[7; 280]].concat());
    for image in [
        with_subchannels.collect::<Vec<u8>>(),
        without_sync.collect(),
    ] {
        assert_eq!(run(&image).children, got.children);
        assert_eq!(run(&image).gaps, []);
    }
    // Writers pad what is burned.
    assert_eq!(run(&[&bytes[..], &vec![0; 500_000]].concat()).gaps, []);
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let got = run(&[&bytes[..], &zip].concat());
    assert_eq!(got.names().last().unwrap(), "(behind the end)");
    assert_eq!(got.gaps, []);
    let got = run(&[&bytes[..], &[b'x'; 600]].concat());
    assert_eq!(got.reasons(), ["corrupt"]);
}

/// What 7-Zip gives of an image, or isoinfo, with a record or a descriptor that is not as it should be.
#[test]
fn damaged_records_hide_no_files() {
    let file = |name: &[u8]| record(name, 19, 7, 0, b"");
    let content = b"content".to_vec();
    let image_of = |records: &[Vec<u8>]| plain_image(records, std::slice::from_ref(&content));
    let mut without_length = file(b"A");
    without_length[0] = 0;
    let mut junk = file(b"B");
    junk[0] = 7;
    let two_sizes = |little: u16, big: u16| {
        let mut bytes = image_of(&[file(b"A")]);
        let sizes = [little.to_le_bytes(), big.to_be_bytes()].concat();
        bytes[16 * 2048 + 128..][..4].copy_from_slice(&sizes);
        bytes
    };
    let rows: [(&str, Vec<u8>, &str, &[&str]); 6] = [
        ("no name", image_of(&[file(b"")]), "", &[]),
        ("no length", image_of(&[without_length]), "A", &["corrupt"]),
        ("a short length", image_of(&[junk]), "B", &["corrupt"]),
        (
            "zeros in a block",
            image_of(&[vec![0; 40], file(b"A")]),
            "A",
            &["corrupt"],
        ),
        ("blocks of 512", two_sizes(512, 2048), "A", &[]),
        ("blocks of no size", two_sizes(7, 9), "A", &[]),
    ];
    for (what, bytes, name, reasons) in rows {
        let got = run(&bytes);
        let wanted = (name.as_bytes().to_vec(), content.clone());
        assert_eq!(
            (&got.children[..], got.reasons()),
            (&[wanted][..], reasons.to_vec()),
            "{what}"
        );
    }
}

#[test]
fn folders_that_lead_into_each_other_end() {
    let bytes = plain_image(
        &[
            record(b"LOOP", 18, 2048, FOLDER, b""),
            record(b"TWICE", 19, 2048, FOLDER, b""),
            record(b"AGAIN", 19, 2048, FOLDER, b""),
        ],
        &[
            [
                record(b"A.;1", 20, 1, 0, b""),
                record(b"UP", 18, 2048, FOLDER, b""),
            ]
            .concat(),
            b"x".to_vec(),
        ],
    );
    let got = run(&bytes);
    assert_eq!(
        (got.names(), got.gaps),
        (vec!["TWICE/A".to_owned()], vec![])
    );
    let over: Vec<_> = (0..20)
        .map(|at| {
            record(
                format!("D{at}").as_bytes(),
                19 + at,
                0xffff_0000,
                FOLDER,
                b"",
            )
        })
        .collect();
    assert_eq!(run(&plain_image(&over, &[])).reasons(), ["corrupt"; 20]);
}

#[test]
fn what_is_not_decoded_is_said() {
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut odd = record(b"A.;1", 19, 5, 0, b"");
        change(&mut odd);
        run(&plain_image(&[odd], &[b"first".to_vec()]))
    };
    assert_eq!(with(&|_| {}).children, [(b"A".to_vec(), b"first".to_vec())]);
    let reasons = [
        (with(&|odd| odd[26] = 1), "unsupported/iso-interleaved"),
        (with(&|odd| odd[9] = 20), "corrupt"),
        (with(&|odd| odd[10] = 6), "corrupt"),
        (with(&|odd| odd[25] = 0x80), "corrupt"),
        (with(&|odd| odd[3] = 90), "corrupt"),
        (with(&|odd| odd[0] = 20), "corrupt"),
        (with(&|odd| odd[32] = 200), "corrupt"),
    ];
    for (number, (got, reason)) in reasons.iter().enumerate() {
        assert!(got.reasons().contains(reason), "{number}: {:?}", got.gaps);
    }
    let cut = plain_image(&[record(b"A.;1", 19, 500, 0, b"")], &[b"x".repeat(500)]);
    let got = run(&cut[..cut.len() - 2048 + 300]);
    assert_eq!(got.children[0].1.len(), 300);
    assert_eq!(got.reasons(), ["corrupt"; 2]);
    let mut other = plain_image(&[], &[]);
    other[32_768 + 9..32_768 + 14].copy_from_slice(b"CDROM");
    assert_eq!(run(&other).reasons(), ["unsupported/iso-high-sierra"]);
    assert!(run(b"no image").unlike);
    let raw = [&[0][..], &[0xff; 10], b"\0\0\x02\0\x01"].concat();
    assert_eq!(run(&raw).reasons(), ["unsupported/iso-raw"]);
    let none = image(&[descriptor(255, 0, 0, (0, 0))]);
    assert_eq!(run(&none).reasons(), ["corrupt"]);
    let mut hybrid = plain_image(&[], &[]);
    hybrid.resize(256 * 512, 0);
    let end = hybrid.len();
    let blocks = |bytes: usize| u32::try_from(bytes / 512).unwrap().to_le_bytes();
    hybrid[510..512].copy_from_slice(b"\x55\xaa");
    for (number, (start, length)) in [(0, end), (64 * 512, end), (end, 1024)]
        .into_iter()
        .enumerate()
    {
        let entry = 446 + 16 * number;
        hybrid[entry + 8..entry + 12].copy_from_slice(&blocks(start));
        hybrid[entry + 12..entry + 16].copy_from_slice(&blocks(length));
    }
    hybrid.extend([&b"7z\xbc\xaf\x27\x1c"[..], &[0; 1018]].concat());
    let parts: Vec<_> = run(&hybrid)
        .names()
        .into_iter()
        .filter(|name| name.contains("partition"))
        .collect();
    assert_eq!(parts, ["(partition 3)"]);
    let mut apple = plain_image(&[], &[]);
    apple[512..516].copy_from_slice(b"PM\0\0");
    apple[560..569].copy_from_slice(b"Apple_HFS");
    assert_eq!(run(&apple).reasons(), ["unsupported/iso-hfs"]);
}

#[test]
fn parts_of_a_file_are_one_content() {
    let bytes = plain_image(
        &[
            record(b"A.;1", 19, 2048, 0x80, b""),
            record(b"A.;1", 21, 3, 0, b""),
            record(b"B.;1", 20, 3, 0x80, b""),
            record(b"C.;1", 20, 3, 0, b""),
        ],
        &[b"1".repeat(2048), b"not".to_vec(), b"end".to_vec()],
    );
    let got = run(&bytes);
    assert_eq!(got.names(), ["A", "B", "C"]);
    assert_eq!(got.children[0].1, [&b"1".repeat(2048)[..], b"end"].concat());
    let detail = "the record of its last part is missing";
    assert_eq!(got.gaps, [said(Some(b"B"), "corrupt", detail)]);
}

#[test]
fn what_only_one_tree_has_is_given_with_a_note() {
    let mut joliet = descriptor(2, 20, 26, (12, 23));
    joliet[88..91].copy_from_slice(b"%/E");
    let table = [&[2, 0, 24, 0, 0, 0, 1, 0][..], b"\0H"].concat();
    let dot = |block| record(b"\0", block, 2048, FOLDER, b"");
    let bytes = image(&[
        descriptor(1, 19, 27, (0, 0)),
        joliet,
        descriptor(255, 0, 0, (0, 0)),
        [
            dot(19),
            record(b"BOTH.;1", 21, 4, 0, b""),
            record(b"OLD.;1", 22, 3, 0, b""),
        ]
        .concat(),
        [
            dot(20),
            record(b"\0b\0o\0t\0h", 21, 4, 0, b""),
            record(b"\0n\0e\0w", 26, 3, 0, b""),
        ]
        .concat(),
        b"both".to_vec(),
        b"old".to_vec(),
        table,
        [dot(24), record(b"\0x", 25, 6, 0, b"")].concat(),
        b"hidden".to_vec(),
        b"new".to_vec(),
    ]);
    let got = run(&bytes);
    assert_eq!(got.names(), ["both", "new", "H/x", "OLD"]);
    assert_eq!(got.gaps, []);
    assert_eq!(
        got.notes,
        [
            "ambiguous/iso-path-table: only the path table has the folder H",
            "ambiguous/iso-trees: 1 files are in the plain tree only",
            "ambiguous/iso-trees: 2 files are not in the plain tree",
        ]
    );
}

/// An image of the folder `tree` by this program.
fn made(folder: &Folder, program: &str, options: &[&str]) -> Vec<u8> {
    let _ = std::fs::remove_file(folder.path().join("out.iso"));
    let first: &[&str] = match program {
        "xorriso" => &["-as", "mkisofs"],
        _ => &["-quiet"],
    };
    folder.run(
        program,
        &[first, options, &["-o", "out.iso", "tree"]].concat(),
    );
    folder.read("out.iso")
}

fn without_folder(files: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let inside = |name: &String| name.strip_prefix("tree/").unwrap().to_owned();
    (files.iter())
        .map(|(name, content)| (inside(name), content.clone()))
        .collect()
}

#[test]
fn what_the_programs_make_is_read() {
    for (seed, program) in [(31, "genisoimage"), (32, "xorriso")] {
        let Some(folder) = tool(program) else { return };
        let files = without_folder(&tree(&folder, seed));
        for options in [&["-R"][..], &["-R", "-J"], &["-J", "-joliet-long"]] {
            let got = run(&made(&folder, program, options));
            assert_holds(&got, &files);
            assert_eq!(got.notes, [""; 0], "{program} {options:?}");
        }
        // Eight letters and three, upper case: the contents tell.
        let got = run(&made(&folder, program, &[]));
        assert_eq!(got.gaps, []);
        let contents = |all: &[(Vec<u8>, Vec<u8>)]| -> Vec<Vec<u8>> {
            let mut all: Vec<_> = all.iter().map(|(_, content)| content.clone()).collect();
            all.sort();
            all
        };
        let expected: Vec<_> = (files.iter())
            .map(|(name, content)| (name.clone().into_bytes(), content.clone()))
            .collect();
        assert_eq!(contents(&got.children), contents(&expected));
    }
}

#[test]
fn deep_folders_are_where_they_belong() {
    for program in ["genisoimage", "xorriso"] {
        let Some(folder) = tool(program) else { return };
        let deep = "tree/1/2/3/4/5/6/7/8/9/10/11/file with a name that is longer than its record allows at all, so that it has to go on in another place, as long names do when there are many of them in one and the same folder, and this one does not end here.txt";
        folder.write(deep, b"deep");
        folder.write("tree/a", b"a");
        let got = run(&made(&folder, program, &["-R"]));
        let mut names = got.names();
        names.sort();
        assert_eq!(got.gaps, []);
        assert_eq!(names, [deep.strip_prefix("tree/").unwrap(), "a"]);
    }
}

#[test]
fn boot_images_are_members() {
    let Some(folder) = tool("genisoimage") else {
        return;
    };
    folder.write("tree/a", b"a");
    folder.write("tree/boot.img", &b"boot code ".repeat(300));
    let options = ["-R", "-b", "boot.img", "-c", "boot.cat", "-no-emul-boot"];
    let bytes = made(&folder, "genisoimage", &options);
    let got = run(&bytes);
    assert_eq!(got.gaps, []);
    assert_eq!(got.names(), ["a", "boot.cat", "boot.img"]);
    let hidden = [&options[..], &["-boot-load-size", "6", "-hide", "boot.img"]].concat();
    let got = run(&made(&folder, "genisoimage", &hidden));
    assert_eq!(got.gaps, []);
    assert_eq!(got.names(), ["a", "boot.cat", "[BOOT]/1"]);
    assert_eq!(got.children[2].1[..3000], b"boot code ".repeat(300));
}

#[test]
fn hybrid_images_are_read() {
    let Some(folder) = tool("xorriso") else {
        return;
    };
    folder.write("tree/a", b"a");
    folder.write("tree/efi.img", &vec![7; 100_000]);
    let options = [
        "-R",
        "-J",
        "-e",
        "efi.img",
        "-no-emul-boot",
        "-isohybrid-gpt-basdat",
    ];
    let got = run(&made(&folder, "xorriso", &options));
    assert_eq!(got.gaps, []);
    assert_eq!(got.names().len(), 3, "{:?}", got.names());
}

#[test]
fn no_damage_panics() {
    let Some(folder) = tool("genisoimage") else {
        return;
    };
    folder.write("tree/some", &b"some content ".repeat(40));
    folder.write("tree/sub/more", b"more");
    let bytes = made(&folder, "genisoimage", &["-R", "-J", "-no-pad"]);
    assert!(!run(&bytes).complained());
    assert_eq!(object(&bytes).length() % 2048, 0);
    assert_eq!(withstand(&Iso, &bytes, b"x.iso"), [0; 0]);
}

#[test]
fn a_root_that_leads_nowhere_is_said() {
    // As it is for a reader that takes the image for one that begins a sector later.
    let mut bytes = plain_image(&[record(b"A.TXT;1", 19, 5, 0, b"")], &[b"hello".to_vec()]);
    let end = 17 * 2048..18 * 2048;
    let terminator = bytes[end].to_vec();
    bytes.splice(16 * 2048..16 * 2048, terminator);
    let got = run(&bytes);
    assert!(got.reasons().contains(&"corrupt"), "{:?}", got.gaps);
}
