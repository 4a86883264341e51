//! Bearer tokens: who holds one may do what its role says, wherever the connection comes from.
//!
//! The file has a line for each, `ROLE DIGEST [comment]`, with the SHA-256 of the token: a token is 256 random bits, so
//! that its digest tells nothing about it.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

/// What every token begins with, so that programs that look for lost secrets know it.
const MARK: &str = "vfind_";

/// The largest file of tokens in bytes.
const LIMIT: u64 = 1024 * 1024;

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All that the others may, and what changes the daemon.
    Admin,
    /// See how the daemon is.
    Read,
    /// Have content scanned.
    Scan,
}

impl Role {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Admin, "admin"),
        (Self::Read, "read"),
        (Self::Scan, "scan"),
    ];

    /// Tells whether it is enough where `wanted` is asked for.
    pub fn may(self, wanted: Self) -> bool {
        self == wanted || self == Self::Admin
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let row = Self::ALL.iter().find(|(_, word)| *word == text);
        row.map(|(role, _)| *role)
            .ok_or_else(|| format!("'{text}' is no role: scan, read, admin"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = Self::ALL.iter().find(|(role, _)| role == self);
        f.write_str(row.map_or("", |(_, word)| word))
    }
}

/// What a token is told by: its digest.
pub type Holder = [u8; 32];

/// The tokens that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens(Vec<(Holder, Role)>);

impl Tokens {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// For people: the line that is none. Nothing of it is shown, for it may be a token that was written there by mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate();
        let lines = lines.map(|(number, line)| (number + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let tokens = lines.map(|(number, line)| {
            let mut words = line.split_ascii_whitespace();
            let role = words.next().and_then(|word| word.parse().ok());
            let digest = words.next().and_then(digest);
            digest.zip(role).ok_or_else(|| {
                format!("line {number}: expected scan, read or admin, and a SHA-256")
            })
        });
        tokens.collect::<Result<_, _>>().map(Self)
    }

    /// What the holder of this token may do, and who it is. It takes the same time for any token of a length.
    pub fn look_up(&self, token: &[u8]) -> Option<(Holder, Role)> {
        let asked: Holder = Sha256::digest(token).into();
        let mut found = None;
        for (digest, role) in &self.0 {
            // No end before the last: neither which token nor how much of its digest fits shows.
            if is_same(&asked, digest) {
                found = Some((asked, *role));
            }
        }
        found
    }
}

/// Compares without an end at the first difference.
fn is_same(one: &Holder, other: &Holder) -> bool {
    let pairs = one.iter().zip(other);
    let difference = pairs.fold(0, |all, (one, other)| all | (one ^ other));
    std::hint::black_box(difference) == 0
}

fn digest(text: &str) -> Option<Holder> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// The system has none to give.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    // Up to 256 bytes come whole.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

/// The file of tokens, as it was when it was read last.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    tokens: Mutex<Tokens>,
}

impl TokenFile {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// For people: it cannot be read, somebody else may write it, or a line is none.
    pub fn open(path: PathBuf) -> Result<Self, String> {
        let tokens = Mutex::new(read(&path)?);
        Ok(Self { path, tokens })
    }

    /// Reads it again. What was read before stays in use if it cannot be.
    ///
    /// # Errors
    /// As [`TokenFile::open`].
    pub fn reload(&self) -> Result<(), String> {
        let tokens = read(&self.path)?;
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }

    /// See [`Tokens::look_up`].
    pub fn look_up(&self, token: &[u8]) -> Option<(Holder, Role)> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.look_up(token)
    }
}

fn read(path: &Path) -> Result<Tokens, String> {
    let said = |problem: String| format!("--token-file={}: {problem}", path.display());
    let in_words = |error: io::Error| said(error.to_string());
    let file = File::open(path).map_err(in_words)?;
    let mode = file.metadata().map_err(in_words)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(said("others may write it".to_owned()));
    }
    let mut text = String::new();
    let length = file.take(LIMIT + 1).read_to_string(&mut text);
    if length.map_err(in_words)? as u64 > LIMIT {
        return Err(said("larger than 1 MiB".to_owned()));
    }
    Tokens::parse(&text).map_err(said)
}

/// Makes a token, adds its digest to the file (which nobody else can read if it is made here), and gives the token.
///
/// # Errors
/// For people: the system's reason.
pub fn add(path: &Path, role: Role) -> Result<String, String> {
    let made = || -> io::Result<String> {
        let token = format!("{MARK}{}", BASE64URL_NOPAD.encode(&random::<32>()?));
        let mut file = OpenOptions::new();
        let file = file.append(true).create(true).read(true).mode(0o600);
        let mut file = file.open(path)?;
        let digest = HEXLOWER.encode(&Sha256::digest(token.as_bytes()));
        // A last line without an end would be joined with it.
        let mut text = String::new();
        (&file).take(LIMIT).read_to_string(&mut text)?;
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        file.write_all(format!("{end}{role} {digest}\n").as_bytes())?;
        file.sync_all()?;
        Ok(token)
    };
    made().map_err(|error| format!("--token-file={}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_known_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let scan = add(&path, Role::Scan).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let file = TokenFile::open(path.clone()).unwrap();
        // Somebody writes by hand, and leaves the end of the line out.
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&scan) && text.starts_with("scan "), "{text}");
        std::fs::write(&path, format!("# ours\n\n{} of the shop", text.trim())).unwrap();
        let admin = add(&path, Role::Admin).unwrap();
        let role = |token: &str| file.look_up(token.as_bytes()).map(|(_, role)| role);
        assert_eq!((role(&scan), role(&admin)), (Some(Role::Scan), None));
        file.reload().unwrap();
        assert_eq!(
            (role(&scan), role(&admin)),
            (Some(Role::Scan), Some(Role::Admin))
        );
        for other in ["", &scan[1..], &format!("{scan}x"), &scan.to_uppercase()] {
            assert_eq!(role(other), None, "{other}");
        }
        std::fs::write(&path, format!("root {}", "0".repeat(64))).unwrap();
        assert!(file.reload().unwrap_err().contains("line 1: expected scan"));
        assert_eq!(role(&scan), Some(Role::Scan), "what was read before");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o620)).unwrap();
        assert!(file.reload().unwrap_err().contains("others may write it"));
    }

    #[test]
    fn a_line_that_is_none_is_told_without_its_words() {
        for line in [
            "scan",
            "scan 00",
            "vfind_secret",
            "boss 00",
            &format!("read {}", "0".repeat(65)),
        ] {
            let error = Tokens::parse(&format!("\n{line}")).unwrap_err();
            assert!(error.starts_with("line 2: ") && !error.contains("secret"));
        }
        let line = format!("read {} a comment", "AB".repeat(32));
        let tokens = Tokens::parse(&line).unwrap();
        assert_eq!(tokens.0, [([0xab; 32], Role::Read)]);
    }

    #[test]
    fn admin_may_all_and_the_others_what_they_are_for() {
        for (role, _) in Role::ALL {
            assert!(role.may(role) && Role::Admin.may(role));
        }
        assert!(!Role::Scan.may(Role::Read) && !Role::Read.may(Role::Scan));
        assert!(!Role::Scan.may(Role::Admin) && !Role::Read.may(Role::Admin));
    }
}
