//! Members of containers by what their container says of them, and the passwords that are tried on them.
//!
//! There are hundreds of such signatures, not millions: they are gone through one by one.
#![forbid(unsafe_code)]

use std::io::{self, Seek, Write};
use std::sync::OnceLock;

use regex_automata::meta::Regex;
use serde::{Deserialize, Serialize};

use crate::filetype::FileType;
use crate::image::{Damage, Image, Tag, Writer};
use crate::signature::rule::MemberRule;

/// The section of members and passwords.
const MEMBERS: Tag = *b"MEMBRULE";

/// The most memory that an expression may take when it is compiled, in bytes; the parser knows that it is enough.
const SIZE: usize = 1024 * 1024;

/// What a container says of a member.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The type of the container.
    pub container: &'static FileType,
    /// Its length in bytes.
    pub container_size: u64,
    /// The member's name.
    pub name: &'a [u8],
    /// Its length as it lies in the container, if that is told.
    pub compressed: Option<u64>,
    /// Its length.
    pub size: Option<u64>,
    /// It is encrypted.
    pub encrypted: bool,
    /// Its place among the others.
    pub position: Option<u64>,
}

/// What is written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Builder {
    rules: Vec<(u32, MemberRule)>,
    passwords: Vec<(Option<String>, Vec<u8>)>,
}

impl Builder {
    pub(super) fn add(&mut self, number: u32, rule: MemberRule) {
        self.rules.push((number, rule));
    }

    pub(super) fn password(&mut self, container: Option<String>, password: Vec<u8>) {
        let password = (container, password);
        if !self.passwords.contains(&password) {
            self.passwords.push(password);
        }
    }

    /// Gives signatures other numbers, and drops those that get none.
    pub(super) fn renumber(&mut self, to: impl Fn(u32) -> Option<u32>) {
        self.rules.retain_mut(|(number, _)| match to(*number) {
            Some(new) => {
                *number = new;
                true
            }
            None => false,
        });
    }

    pub(super) fn write<W: Write + Seek>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        let bytes = postcard::to_stdvec(self).map_err(io::Error::other)?;
        writer.section(MEMBERS, &bytes)
    }
}

/// The rules in an image.
#[derive(Debug)]
pub(super) struct Members {
    rules: Vec<(u32, MemberRule, OnceLock<Option<Regex>>)>,
    passwords: Vec<(Option<String>, Vec<u8>)>,
}

impl Members {
    pub(super) fn open(image: &Image) -> Result<Self, Damage> {
        let section = image.section(MEMBERS)?;
        let read: Result<Builder, _> = postcard::from_bytes(&section);
        let read = read.map_err(|_| Damage::Section("of members".to_owned()))?;
        let rules = read.rules.into_iter();
        Ok(Self {
            rules: rules
                .map(|(number, rule)| (number, rule, OnceLock::new()))
                .collect(),
            passwords: read.passwords,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The signatures that hold on a member.
    pub(super) fn holding(&self, about: &About<'_>) -> Vec<u32> {
        let holds = |(number, rule, made): &(u32, MemberRule, OnceLock<Option<Regex>>)| {
            let within = |range: Option<(u64, u64)>, value: Option<u64>| match (range, value) {
                (None, _) => true,
                (Some((from, to)), Some(value)) => (from..=to).contains(&value),
                (Some(_), None) => false,
            };
            let fits = (rule.container.as_deref())
                .is_none_or(|kind| about.container.is_clam(kind.as_bytes()))
                && within(rule.container_size, Some(about.container_size))
                && within(rule.compressed, about.compressed)
                && within(rule.size, about.size)
                && rule
                    .encrypted
                    .is_none_or(|encrypted| encrypted == about.encrypted)
                && within(rule.position, about.position);
            let named = || match &rule.name {
                None => true,
                Some(expression) => {
                    let regex = made.get_or_init(|| regex(expression));
                    regex
                        .as_ref()
                        .is_some_and(|regex| regex.is_match(about.name))
                }
            };
            (fits && named()).then_some(*number)
        };
        self.rules.iter().filter_map(holds).collect()
    }

    /// The passwords for members of a container of this type.
    pub(super) fn passwords(&self, container: &'static FileType) -> impl Iterator<Item = &Vec<u8>> {
        let fits = move |row: &&(Option<String>, Vec<u8>)| {
            let kind = row.0.as_deref();
            kind.is_none_or(|kind| container.is_clam(kind.as_bytes()))
        };
        self.passwords
            .iter()
            .filter(fits)
            .map(|(_, password)| password)
    }
}

fn regex(expression: &str) -> Option<Regex> {
    regex_automata::meta::Builder::new()
        .configure(regex_automata::meta::Config::new().nfa_size_limit(Some(SIZE)))
        .syntax(regex_automata::util::syntax::Config::new().utf8(false))
        .build(expression)
        .ok()
}
