//! Mails, as Python's email package and swaks write them: the parts are those that Python reads, or that were attached.
#![forbid(unsafe_code)]

use super::{PYTHON, opened, python, rounds};
use crate::expand::testing::{Random, tool};

/// So many mails, each a random tree of parts and messages; then what Python makes of them: each part in a file, and in
/// `names-…` its name, or its number as in IMAP.
const MAKE: &str = r#"
import binascii, email, random, sys
from email import encoders, policy
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

r = random
NAMES = ['a.bin', 'größe.txt', 'with blank.dat', 'x' * 90 + '.zip', 'Привет мир и все остальные люди.doc', 'quo"te.txt', 'semi;colon, comma.txt',
         '日本語' * 20 + '.pdf', "it's 100%.txt", 'été=?.txt', '(paren) [b].c', 'UPPER.TXT']
LINES = b'line of text\n', b'From the start\n', b'.dots\n', b'=3D and _ \n', b'\n', b'--\n', b'trailing \t\n', b'x' * 200 + b'\n'

def binary():
    return r.randbytes(r.choice([1, 2, 3, 56, 57, 58, 500, 5000]))

def lines():
    return b''.join(r.choice(LINES) for _ in range(r.randrange(1, 40))) + r.choice([b'', b'no end'])

def name(part):
    n = r.choice(NAMES)
    how = r.randrange(4)
    if how == 0 and not n.isascii():
        n = Header(n, 'utf-8').encode()
    elif how == 1:
        n = (r.choice(['utf-8', 'utf-16be']), r.choice(['', 'de']), n)
    where = r.randrange(3)
    if where == 0:
        part.add_header('Content-Disposition', r.choice(['attachment', 'inline']), filename=n)
    elif where == 1:
        part.set_param('name', n if isinstance(n, str) else n[2], charset=n[0] if isinstance(n, tuple) else None)

def leaf():
    how = r.choice(['base64', 'quoted-printable', '7bit', '8bit', 'x-uuencode', 'text'])
    if how == 'text':
        part = MIMEText(''.join(r.choice('abc äöü€\n日本') for _ in range(200)), r.choice(['plain', 'html', 'csv']), r.choice(['utf-8', 'utf-16', 'utf-32']))
    else:
        part = MIMEBase(*r.choice([('application', 'octet-stream'), ('image', 'png'), ('application', 'zip'), ('text', 'plain')]))
        if how in ('base64', 'quoted-printable'):
            part.set_payload(binary() if r.random() < .7 else lines())
            (encoders.encode_base64 if how == 'base64' else encoders.encode_quopri)(part)
        else:
            content = lines()
            if how == 'x-uuencode':
                content = b'begin 644 inner.bin\n' + b''.join(binascii.b2a_uu(content[i:i + 45]) for i in range(0, len(content), 45)) + b'`\nend\n'
            elif how == '8bit':
                content += 'größe\n'.encode()
            part.set_payload(content.decode('utf-8', 'surrogateescape') if how == '7bit' or how == 'x-uuencode' else content.decode('ascii', 'surrogateescape'))
            part['Content-Transfer-Encoding'] = how
    name(part)
    return part

def message(depth):
    if r.random() < .4:
        m = EmailMessage()
        m.set_content('plain ' + r.choice(['text', 'größe', 'x' * 1200]) + '\n', cte=r.choice(['quoted-printable', 'base64']))
        if r.random() < .6:
            m.add_alternative('<p>html</p>\n', subtype='html')
            if r.random() < .6:
                m.get_payload()[1].add_related(binary(), 'image', 'png', cid='<a@b>', filename=r.choice(NAMES))
        for _ in range(r.randrange(4)):
            m.add_attachment(binary(), 'application', 'x-some', filename=r.choice(NAMES))
    else:
        m = tree(depth)
    m['From'] = 'größe <a@example.org>'; m['To'] = 'b@example.org'
    m['Subject'] = r.choice(['x', 'Grüße aus der Ferne, ' * 6])
    return m

def tree(depth):
    kind = r.random()
    if depth == 0 or kind < .3:
        return leaf()
    if kind < .45:
        return MIMEMessage(message(depth - 1))
    m = MIMEMultipart(r.choice(['mixed', 'alternative', 'related', 'x-odd', 'report']))
    m.preamble, m.epilogue = r.choice([None, 'for old readers\n']), r.choice([None, '', 'the end\n'])
    for _ in range(r.randrange(1, 4)):
        m.attach(tree(depth - 1))
    return m

def written(mail):
    how = r.choice([policy.SMTP, policy.compat32, policy.compat32.clone(linesep='\r\n'), policy.default, policy.SMTP.clone(max_line_length=None)])
    try:
        return mail.as_bytes(policy=how)
    except UnicodeError:
        # Not all policies can write what others take.
        return mail.as_bytes(policy=policy.compat32)

def parts(part, number):
    if part.get_content_type() == 'message/rfc822':
        yield from parts(part.get_payload(0), '')
    elif part.is_multipart():
        for n, inner in enumerate(part.get_payload(), 1):
            yield from parts(inner, number + '.' * (number != '') + str(n))
    else:
        name = part.get_filename()
        name = str(make_header(decode_header(name))) if name else 'part ' + number if number else 'body'
        if part['Content-Transfer-Encoding'] == 'x-uuencode':
            # A file that has its name inside.
            name = 'inner.bin'
        yield name, part.get_payload(decode=True)

for seed in range(int(sys.argv[1])):
    r.seed(seed)
    raw = written(message(4))
    open(f'mail-{seed}', 'wb').write(raw)
    with open(f'names-{seed}', 'w') as names:
        for number, (called, content) in enumerate(parts(email.message_from_bytes(raw), '')):
            print(called, file=names)
            open(f'mail-{seed}-part-{number}', 'wb').write(content)
"#;

#[test]
fn mails_of_python_are_as_python_reads_them() {
    let Some(folder) = python("email") else {
        return;
    };
    folder.write("make.py", MAKE.as_bytes());
    let mails = rounds(40);
    let make = ["LC_ALL=C.UTF-8", PYTHON, "make.py", &mails.to_string()];
    folder.run("env", &make);
    for seed in 0..mails {
        println!("mail {seed}");
        let got = opened(&folder.read(&format!("mail-{seed}")), "mail");
        let names = String::from_utf8(folder.read(&format!("names-{seed}"))).unwrap();
        assert_eq!(got.names(), names.lines().collect::<Vec<_>>());
        for (number, (name, content)) in got.children.iter().enumerate() {
            let wanted = folder.read(&format!("mail-{seed}-part-{number}"));
            assert!(*content == wanted, "{} differs", name.escape_ascii());
        }
        assert_eq!((&got.gaps[..], &got.notes[..]), (&[][..], &[][..]));
    }
}

#[test]
fn attachments_of_swaks_are_as_they_were_attached() {
    let Some(folder) = tool("swaks") else { return };
    let mut random = Random::new(90);
    let mut attached = Vec::new();
    let mut arguments: Vec<String> = ["--server", "127.0.0.1", "--dump-mail"]
        .map(Into::into)
        .to_vec();
    arguments.extend(
        [
            "--from",
            "a@example.org",
            "--to",
            "b@example.org",
            "--body",
            "see what is attached",
        ]
        .map(Into::into),
    );
    for (number, name) in [
        "plain.bin",
        "with blank.txt",
        "größe.dat",
        "it's (1).pdf",
        "",
    ]
    .iter()
    .enumerate()
    {
        let length = [0, 1, 57, 3000, 70_000][random.below(5)] + number;
        let content = random.bytes(length);
        folder.write(&format!("file-{number}"), &content);
        arguments.extend(
            [
                "--attach-type",
                ["image/png", "application/zip"][number % 2],
                "--attach-name",
            ]
            .map(Into::into),
        );
        let unnamed = format!("part {}", number + 2);
        if !name.is_empty() {
            arguments.push((*name).to_owned());
        }
        arguments.extend(["--attach".to_owned(), format!("@file-{number}")]);
        attached.push((
            if name.is_empty() {
                unnamed
            } else {
                (*name).to_owned()
            },
            content,
        ));
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mail = folder.run("swaks", &arguments);
    let got = opened(mail.as_bytes(), "mail");
    assert_eq!((&got.gaps[..], &got.notes[..]), (&[][..], &[][..]));
    assert_eq!(got.names()[0], "part 1");
    assert_eq!(got.children[0].1, b"see what is attached");
    for ((name, given), (wanted, content)) in got.children[1..].iter().zip(&attached) {
        assert_eq!(String::from_utf8_lossy(name), *wanted);
        assert!(given == content, "{wanted} differs");
    }
    assert_eq!(got.children.len(), attached.len() + 1);
}
