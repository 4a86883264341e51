//! Documents, as Python's libraries write them: each member is what Python's zipfile reads, and what was put into a document in
//! some deeper way is found.
#![forbid(unsafe_code)]

use super::{PYTHON, opened, python, rounds};
use crate::expand::testing::{Folder, expand, tool};
use crate::expand::zip::Zip;

/// Before each script: random content, the markers, which are text, and a picture that holds one.
const BEFORE: &str = r"
import io, random, struct, sys, zipfile, zlib
seed = int(sys.argv[1])
r = random.Random(seed)

def marker(number):
    return f'marker {number} of {seed}'

def words():
    return ' '.join(r.choice(['some', 'größe', 'words', '日本', 'x' * 99]) for _ in range(r.randrange(1, 400)))

def picture(text):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    wide, high = r.randrange(1, 99), r.randrange(1, 99)
    lines = b''.join(b'\0' + r.randbytes(3 * wide) for _ in range(high))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', wide, high, 8, 2, 0, 0, 0)) + chunk(b'tEXt', b'Comment\0' + text.encode())
        + chunk(b'IDAT', zlib.compress(lines)) + chunk(b'IEND', b''))

out = io.BytesIO()
";

/// Behind each script: the document, and its members if it is a zip archive.
const BEHIND: &str = r"
open('out', 'wb').write(out.getvalue())
with open('names', 'w') as names:
    if zipfile.is_zipfile(out):
        with zipfile.ZipFile(out) as archive:
            for number, info in enumerate(archive.infolist()):
                print(info.filename, file=names)
                open(f'member-{number}', 'wb').write(archive.read(info))
";

/// A library, what it is asked to write, and how the name of the member ends that has each marker.
struct Document {
    modules: &'static str,
    programs: &'static [&'static str],
    script: &'static str,
    markers: &'static [&'static str],
}

const DOCUMENTS: &[Document] = &[
    Document {
        modules: "docx, xlwt",
        programs: &[],
        script: r"
import docx, xlwt
from docx.opc.constants import RELATIONSHIP_TYPE as kind
from docx.opc.packuri import PackURI
from docx.opc.part import Part

book = xlwt.Workbook()
book.add_sheet('sheet').write(0, 0, marker(3))
sheet = io.BytesIO()
book.save(sheet)
document = docx.Document()
document.add_heading(marker(0))
document.add_paragraph(words())
document.add_table(2, 3).cell(0, 1).text = words()
document.sections[0].header.paragraphs[0].text = marker(1)
document.add_picture(io.BytesIO(picture(marker(2))))
name = PackURI('/word/embeddings/oleObject1.bin')
part = Part(name, 'application/vnd.openxmlformats-officedocument.oleObject', sheet.getvalue(), document.part.package)
document.part.relate_to(part, kind.OLE_OBJECT)
document.save(out)
",
        markers: &[
            "word/document.xml",
            "word/header1.xml",
            "word/media/image1.png",
            "Workbook",
        ],
    },
    Document {
        modules: "openpyxl, PIL",
        programs: &[],
        script: r"
import openpyxl, openpyxl.comments, openpyxl.drawing.image
book = openpyxl.Workbook()
sheet = book.active
for row in range(r.randrange(1, 50)):
    sheet.append([words(), row, row / 7, None, True])
sheet['A1'] = marker(0)
sheet['B1'].comment = openpyxl.comments.Comment(marker(1), 'a')
sheet.add_image(openpyxl.drawing.image.Image(io.BytesIO(picture(''))))
book.create_sheet(marker(2))
book.save(out)
",
        markers: &[
            "xl/worksheets/sheet1.xml",
            "xl/comments/comment1.xml",
            "xl/workbook.xml",
        ],
    },
    Document {
        modules: "xlsxwriter",
        programs: &["gsf"],
        script: r"
import os, subprocess, xlsxwriter
os.makedirs('project/VBA', exist_ok=True)
source = marker(3).encode()
source += b' ' * (-len(source) % 8)
# A chunk of literals alone, eight behind each byte of flags ([MS-OVBA] 2.4.1).
chunk = b''.join(b'\0' + source[at:at + 8] for at in range(0, len(source), 8))
for name, content in {'Module1': r.randbytes(99) + b'\1' + struct.pack('<H', 0xb000 + len(chunk) - 1) + chunk, '_VBA_PROJECT': b'\xcc\x61'}.items():
    open('project/VBA/' + name, 'wb').write(content)
subprocess.run(['gsf', 'createole', 'project.ole', 'project'], check=True)
book = xlsxwriter.Workbook(out, {'in_memory': True})
sheet = book.add_worksheet()
for row in range(r.randrange(1, 50)):
    sheet.write(row, 0, words())
    sheet.write(row, 1, row / 7)
sheet.write(0, 0, marker(0))
sheet.insert_image('C3', 'picture.png', {'image_data': io.BytesIO(picture(marker(1)))})
sheet.add_table('E1:F9')
sheet.set_header('&L' + marker(2))
book.add_vba_project('project.ole')
book.close()
",
        markers: &[
            "xl/sharedStrings.xml",
            "xl/media/image1.png",
            "xl/worksheets/sheet1.xml",
            "project/VBA/Module1.bas",
        ],
    },
    Document {
        modules: "xlwt",
        programs: &[],
        script: r"
import xlwt
book = xlwt.Workbook()
for number in range(r.randrange(1, 5)):
    sheet = book.add_sheet(f'{marker(0)} {number}')
    for row in range(r.randrange(1, 99)):
        sheet.write(row, 1, words())
    sheet.write(0, 0, marker(1))
book.save(out)
",
        markers: &["Workbook", "Workbook"],
    },
    Document {
        modules: "odf.opendocument",
        programs: &[],
        script: r"
from odf.opendocument import OpenDocumentSpreadsheet, OpenDocumentText
from odf.draw import Frame, Image, Object
from odf.table import Table, TableCell, TableRow
from odf.text import P
inner = OpenDocumentSpreadsheet()
table, row, cell = Table(name='table'), TableRow(), TableCell()
cell.addElement(P(text=marker(2)))
row.addElement(cell)
table.addElement(row)
inner.spreadsheet.addElement(table)
document = OpenDocumentText()
for text in marker(0), words(), words():
    document.text.addElement(P(text=text))
for inside in Image(href=document.addPicture('Picture.png', 'image/png', picture(marker(1)))), Object(href=document.addObject(inner)):
    frame, paragraph = Frame(width='1cm', height='1cm'), P()
    frame.addElement(inside)
    paragraph.addElement(frame)
    document.text.addElement(paragraph)
document.addThumbnail(picture(marker(3)))
document.write(out)
",
        markers: &[
            "content.xml",
            "Picture.png",
            "Object 1/content.xml",
            "Thumbnails/thumbnail.png",
        ],
    },
    Document {
        modules: "ebooklib.epub",
        programs: &[],
        script: r"
from ebooklib import epub
book = epub.EpubBook()
book.set_identifier(str(seed))
book.set_title(words())
chapters = []
for number in range(r.randrange(1, 9)):
    chapter = epub.EpubHtml(title=f'chapter {number}', file_name=f'chapter {number}.xhtml')
    chapter.content = f'<p>{marker(0)}</p><p>{words()}</p>'
    book.add_item(chapter)
    chapters.append(chapter)
book.add_item(epub.EpubItem(file_name='images/picture.png', media_type='image/png', content=picture(marker(1))))
book.set_cover('cover.png', picture(marker(2)))
book.toc, book.spine = chapters, ['nav', *chapters]
book.add_item(epub.EpubNcx())
book.add_item(epub.EpubNav())
epub.write_epub(out, book)
",
        markers: &[
            "EPUB/chapter 0.xhtml",
            "EPUB/images/picture.png",
            "EPUB/cover.png",
        ],
    },
    Document {
        modules: "reportlab.pdfgen, pypdf",
        programs: &[],
        script: r"
import pypdf
from reportlab.pdfgen import canvas
drawn = io.BytesIO()
page = canvas.Canvas(drawn, pageCompression=1)
for number in range(r.randrange(1, 20)):
    page.drawString(9, 99, marker(0))
    page.drawString(9, 9, words())
    page.showPage()
page.save()
document = pypdf.PdfWriter()
document.append(drawn)
document.add_attachment('attached.bin', (marker(1) + words()).encode())
document.write(out)
",
        markers: &["-0", "-0"],
    },
];

/// Holds a document against what Python reads of it, and looks for the markers.
fn check(document: &Document, folder: &Folder, seed: u64) {
    let bytes = folder.read("out");
    let names = String::from_utf8(folder.read("names")).unwrap();
    if !names.is_empty() {
        let got = expand(&Zip, &bytes, b"out");
        let names: Vec<_> = names.lines().collect();
        assert_eq!(got.names(), names);
        for (number, (name, content)) in got.children.iter().enumerate() {
            let wanted = folder.read(&format!("member-{number}"));
            assert!(*content == wanted, "{} differs", name.escape_ascii());
        }
    }
    let got = opened(&bytes, "out");
    assert_eq!((&got.gaps[..], &got.notes[..]), (&[][..], &[][..]));
    for (number, wanted) in document.markers.iter().enumerate() {
        let marker = format!("marker {number} of {seed}");
        let holders: Vec<_> = (got.children.iter())
            .filter(|(_, content)| memchr::memmem::find(content, marker.as_bytes()).is_some())
            .map(|(name, _)| String::from_utf8_lossy(name))
            .collect();
        assert!(
            holders.iter().any(|name| name.ends_with(wanted)),
            "{marker} is in {holders:?}, not in {wanted}"
        );
    }
}

#[test]
fn documents_are_opened_to_what_was_put_into_them() {
    for (row, document) in DOCUMENTS.iter().enumerate() {
        if !document
            .programs
            .iter()
            .all(|program| tool(program).is_some())
        {
            continue;
        }
        let Some(folder) = python(document.modules) else {
            continue;
        };
        let script = [BEFORE, document.script, BEHIND].concat();
        folder.write("make.py", script.as_bytes());
        for round in 0..rounds(1) {
            let seed = round * 1000 + row as u64;
            println!("{}, seed {seed}", document.modules);
            folder.run(
                "env",
                &["LC_ALL=C.UTF-8", PYTHON, "make.py", &seed.to_string()],
            );
            check(document, &folder, seed);
        }
    }
}
