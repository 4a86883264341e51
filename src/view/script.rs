//! Scripts as Microsoft's Script Encoder leaves them (`.jse`, `.vbe`, `<script language="JScript.Encode">`): each letter is another
//! one, by one of three alphabets that take turns. Windows runs them as they are.
//!
//! `#@~^`, the length in base64, the letters, their sum in base64, `^#~@`. The alphabets are those that Windows has; they are
//! known by what free decoders say of them.
#![forbid(unsafe_code)]

/// What an encoded script begins and ends with.
const BEGIN: &[u8] = b"#@~^";
const END: &[u8] = b"^#~@";

/// The length behind the beginning and the sum before the end: six digits of base64 and `==`.
const NUMBER: usize = 8;

/// What a tab, and each letter from the blank on, stands for, in each of the alphabets.
const ALPHABETS: [&[u8; 97]; 3] = [
    b"W.GzVBj/&IA42[vrC89pEhqO\tbD#uJ~J^@wJa]\"KoN;LPg*}tT+-,0nkf5%!dMRc?{x)(sY3\x7fmUS|:_eFX1ilZH'\\=$y7`Q 6",
    b"n-uR`q^I\\b})6 |z\x7fkc3+hQfv1dTCL:L~LE,*t'7DyY/o&rj9{?8wgSG4x]0#Z[lHUpi.L!$NP\tVs5aKX;W\"mM%(FJ2A=_OBe",
    b"{20!)[83=X:5e9\\VsfNEkbYx^}JmqA`AS@B'Hru17MR\"TjGd- \x7f.L]~loytC&v%$+(#A4\t*D?w;UiacPgQIOFh|6pnz/_KZ,W",
];

/// Which alphabet is used, by the place of the letter.
const TURNS: &[u8; 64] = b"0120121221210212021200122102122100212120200120210212001220012021";

/// Finds encoded scripts in a text that comes piece by piece.
#[derive(Debug)]
pub struct Finder {
    /// The most bytes of one that are held.
    limit: usize,
    position: u64,
    /// Bytes of either mark that have come by.
    begin: usize,
    end: usize,
    /// Where the script at hand begins, and what has come of it.
    script: Option<(u64, Vec<u8>)>,
}

/// An encoded script, decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// Where it begins.
    pub at: u64,
    /// Its text.
    pub text: Vec<u8>,
    /// It goes on behind the limit.
    pub cut: bool,
}

impl Finder {
    /// Holds at most `limit` bytes of a script.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            position: 0,
            begin: 0,
            end: 0,
            script: None,
        }
    }

    /// Takes the next piece of the text.
    pub fn push(&mut self, piece: &[u8], found: &mut dyn FnMut(Script)) {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            if self.script.is_none() && self.begin == 0 {
                // Up to where one may begin.
                let skip = memchr::memchr(b'#', rest).unwrap_or(rest.len());
                if skip > 0 {
                    self.position += skip as u64;
                    rest = rest.get(skip..).unwrap_or_default();
                    continue;
                }
            }
            rest = after;
            self.position += 1;
            self.take(*byte, found);
        }
    }

    /// The text is at its end.
    pub fn finish(self, found: &mut dyn FnMut(Script)) {
        if let Some((at, letters)) = self.script {
            let text = decode(&letters);
            let cut = false;
            found(Script { at, text, cut });
        }
    }

    fn take(&mut self, byte: u8, found: &mut dyn FnMut(Script)) {
        self.begin = advance(BEGIN, self.begin, byte);
        self.end = advance(END, self.end, byte);
        if self.begin == BEGIN.len() {
            // No letters have this mark among them: what began before was none, or has no end.
            let at = self.position - BEGIN.len() as u64;
            let before = self.script.replace((at, Vec::new()));
            if let Some((at, mut letters)) = before {
                letters.truncate(letters.len().saturating_sub(BEGIN.len() - 1));
                let text = decode(&letters);
                let cut = false;
                found(Script { at, text, cut });
            }
            return;
        }
        let Some((at, letters)) = &mut self.script else {
            return;
        };
        letters.push(byte);
        let is_end = self.end == END.len();
        if is_end {
            letters.truncate(letters.len().saturating_sub(END.len() + NUMBER));
        }
        let cut = !is_end && letters.len() >= self.limit;
        if is_end || cut {
            let (at, text) = (*at, decode(letters));
            self.script = None;
            found(Script { at, text, cut });
        }
    }
}

/// How much of a mark has come by with this byte.
fn advance(mark: &[u8], before: usize, byte: u8) -> usize {
    match mark.get(before) {
        Some(wanted) if *wanted == byte => before + 1,
        _ => usize::from(mark.first() == Some(&byte)),
    }
}

/// The text of a script, from behind its beginning.
fn decode(script: &[u8]) -> Vec<u8> {
    let is_number = script.get(NUMBER - 2..NUMBER) == Some(b"==");
    let letters = script.get(NUMBER..).filter(|_| is_number).unwrap_or(script);
    let mut text = Vec::with_capacity(letters.len());
    let mut turn = 0_usize;
    let mut bytes = letters.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = match (byte, bytes.peek()) {
            (b'@', Some(b'$')) => Some(b'@'),
            (b'@', Some(b'!')) => Some(b'<'),
            (b'@', Some(b'*')) => Some(b'>'),
            (b'@', Some(b'#')) => Some(b'\r'),
            (b'@', Some(b'&')) => Some(b'\n'),
            _ => None,
        };
        if escaped.is_some() {
            bytes.next();
        }
        let plain = escaped.or_else(|| {
            let place = match byte {
                b'<' | b'>' | b'@' => return None,
                b'\t' => 0,
                b' '..=0x7f => usize::from(byte - b' ') + 1,
                _ => return None,
            };
            let alphabet = TURNS.get(turn % TURNS.len()).map(|digit| digit & 3)?;
            ALPHABETS.get(usize::from(alphabet))?.get(place).copied()
        });
        // What is no ASCII stands for itself and takes no turn.
        turn += usize::from(byte.is_ascii());
        text.push(plain.unwrap_or(byte));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other way round.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut out = b"#@~^AAAAAA==".to_vec();
        for (turn, byte) in text.iter().filter(|byte| byte.is_ascii()).enumerate() {
            let alphabet = ALPHABETS[usize::from(TURNS[turn % 64] - b'0')];
            let place = |(place, _): &(usize, &u8)| ![29, 31, 33].contains(place);
            let mut places = alphabet.iter().enumerate().filter(place);
            match byte {
                b'@' => out.extend(b"@$"),
                b'<' => out.extend(b"@!"),
                b'>' => out.extend(b"@*"),
                b'\r' => out.extend(b"@#"),
                b'\n' => out.extend(b"@&"),
                byte => match places.find(|(_, plain)| *plain == byte).unwrap().0 {
                    0 => out.push(b'\t'),
                    place => out.push(u8::try_from(place).unwrap() + 31),
                },
            }
        }
        out.extend(b"AAAAAA==^#~@");
        out
    }

    fn find(text: &[u8], limit: usize, step: usize) -> Vec<Script> {
        let mut finder = Finder::new(limit);
        let mut found = Vec::new();
        for piece in text.chunks(step) {
            finder.push(piece, &mut |script| found.push(script));
        }
        finder.finish(&mut |script| found.push(script));
        found
    }

    #[test]
    fn what_windows_encodes_is_read() {
        let script =
            b"#@~^MAAAAA==\tUm.bwDR21tKcJsl.3\x7fDRr\t/k9nO\x7fxmK[nN /1DrwORW E#pyBAAAA==^#~@\0";
        let found = find(script, 1000, 1000);
        assert_eq!(found.len(), 1);
        let text = String::from_utf8_lossy(&found[0].text).into_owned();
        assert!(text.starts_with("WScript.Echo("), "{text}");
    }

    #[test]
    fn every_letter_comes_back_at_every_split() {
        let text: Vec<u8> = (0..3)
            .flat_map(|_| (b' '..=b'~').chain(*b"\t\r\n"))
            .collect();
        let page = [
            b"<script language=JScript.Encode>##@",
            &encode(&text)[..],
            b"</script>#@~^",
            &encode(b"more"),
        ]
        .concat();
        for step in [1, 2, 3, 5, 7, 1000] {
            let found = find(&page, 10_000, step);
            let texts: Vec<_> = found
                .iter()
                .map(|script| (script.at, &script.text[..], script.cut))
                .collect();
            let more = 35 + encode(&text).len() as u64 + 13;
            assert_eq!(
                texts,
                [
                    (35, &text[..], false),
                    (more - 4, b"", false),
                    (more, b"more", false)
                ],
                "{step}"
            );
        }
    }

    #[test]
    fn one_without_an_end_is_read_as_far_as_it_goes() {
        let script = encode(b"an end that is not there");
        let cut = &script[..script.len() - 12];
        assert_eq!(find(cut, 1000, 9)[0].text, b"an end that is not there");
        let held = find(&script, 16, 9);
        assert_eq!((&held[0].text[..], held[0].cut), (&b"an end t"[..], true));
    }
}
