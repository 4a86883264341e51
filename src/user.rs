//! The user that a daemon works as: looked up by name, and become for good.
//!
//! Becoming another user is a property of each thread on Linux, so it is done while there is only one.
#![forbid(unsafe_code)]

use std::fs;
use std::io;

use rustix::process::{Gid, Uid, getgid, getgroups, getuid};
use rustix::thread::{
    set_thread_gid, set_thread_groups, set_thread_res_gid, set_thread_res_uid, set_thread_uid,
};

/// A user with its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: u32,
    gid: u32,
    /// All groups, the first one with them.
    groups: Vec<u32>,
}

impl User {
    /// Looks up `NAME` or `NAME:GROUP` in /etc/passwd and /etc/group; both may be numbers. Without GROUP the user has all
    /// its groups, with it that one alone.
    ///
    /// # Errors
    /// For people: a file that cannot be read, a name that is not in it.
    pub fn look_up(text: &str) -> Result<Self, String> {
        find(text, &read("/etc/passwd")?, &read("/etc/group")?)
    }

    /// The numbers of the user and of its first group.
    pub fn numbers(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Makes the process this user's, and checks that there is no way back. Only for a process of one thread.
    ///
    /// # Errors
    /// For people: only root may do it, or it did not hold.
    pub fn become_it(&self) -> Result<(), String> {
        if !getuid().is_root() {
            return match getuid().as_raw() == self.uid && getgid().as_raw() == self.gid {
                true => Ok(()),
                false => Err("only root can become another user".to_owned()),
            };
        }
        self.change()
            .map_err(|error| format!("cannot become {}: {error}", self.name))?;
        self.check()
    }

    fn change(&self) -> io::Result<()> {
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|group| Gid::from_raw(*group))
            .collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        // The user last: after it the groups are out of reach.
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let mut groups: Vec<_> = getgroups()
            .map_err(|error| format!("cannot ask for the groups: {error}"))?
            .iter()
            .map(|group| group.as_raw())
            .collect();
        groups.sort_unstable();
        let mut wanted = self.groups.clone();
        wanted.sort_unstable();
        let is_it =
            getuid().as_raw() == self.uid && getgid().as_raw() == self.gid && groups == wanted;
        let is_root = self.uid == 0;
        if !is_it
            || !is_root
                && (set_thread_uid(Uid::ROOT).is_ok()
                    || set_thread_gid(Gid::ROOT).is_ok() && self.gid != 0)
        {
            return Err(format!("becoming {} did not hold", self.name));
        }
        Ok(())
    }
}

/// Looks up a group in /etc/group by its name; a number is taken as it is.
///
/// # Errors
/// For people: a file that cannot be read, a name that is not in it.
pub fn group(name: &str) -> Result<u32, String> {
    find_group(name, &read("/etc/group")?)
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn find_group(name: &str, group: &str) -> Result<u32, String> {
    let row = rows(group).find(|row| row.name == name);
    let gid = row.map(|row| row.number).or_else(|| name.parse().ok());
    gid.ok_or_else(|| format!("no group '{name}' in /etc/group"))
}

fn find(text: &str, passwd: &str, group: &str) -> Result<User, String> {
    let (name, wanted) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (text, None),
    };
    let row = rows(passwd).find(|row| row.name == name || row.number.to_string() == name);
    let (name, uid, first) = match row {
        Some(row) => (
            row.name,
            row.number,
            row.rest.split(':').next().and_then(|gid| gid.parse().ok()),
        ),
        None => {
            let uid = name
                .parse()
                .map_err(|_| format!("no user '{name}' in /etc/passwd"))?;
            (name, uid, None)
        }
    };
    let (gid, groups) = match wanted {
        Some(wanted) => {
            let gid = find_group(wanted, group)?;
            (gid, vec![gid])
        }
        None => {
            let gid = first.ok_or_else(|| {
                format!("user {name} is not in /etc/passwd, so it needs a group: {name}:GROUP")
            })?;
            let more = rows(group).filter(|row| {
                row.number != gid && row.rest.split(',').any(|member| member == name)
            });
            (
                gid,
                std::iter::once(gid)
                    .chain(more.map(|row| row.number))
                    .collect(),
            )
        }
    };
    Ok(User {
        name: name.to_owned(),
        uid,
        gid,
        groups,
    })
}

/// A line of passwd(5) or group(5): both have a name, a password that is passed over, a number, and more.
struct Row<'a> {
    name: &'a str,
    number: u32,
    rest: &'a str,
}

fn rows(text: &str) -> impl Iterator<Item = Row<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(4, ':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Row {
            name,
            number: number.parse().ok()?,
            rest: fields.next().unwrap_or_default(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\n# no row\nscan:x:107:65534:,,,:/nonexistent:/bin/false\n";
    const GROUP: &str =
        "root:x:0:\nnogroup:x:65534:\nmail:x:8:scanner,scan\nadm:x:4:scanner\nclam:x:9:scan\n";

    #[test]
    fn a_user_has_its_own_groups_or_the_one_that_is_named() {
        let rows: [(&str, u32, u32, &[u32]); 6] = [
            ("scan", 107, 65534, &[65534, 8, 9]),
            ("107", 107, 65534, &[65534, 8, 9]),
            ("scan:adm", 107, 4, &[4]),
            ("scan:77", 107, 77, &[77]),
            ("5000:6000", 5000, 6000, &[6000]),
            ("root", 0, 0, &[0]),
        ];
        for (text, uid, gid, groups) in rows {
            let user = find(text, PASSWD, GROUP).unwrap();
            assert_eq!(
                (user.uid, user.gid, &user.groups[..]),
                (uid, gid, groups),
                "{text}"
            );
        }
    }

    #[test]
    fn who_is_not_there_is_named() {
        for (text, word) in [
            ("nobody", "no user 'nobody'"),
            ("", "no user ''"),
            ("scan:staff", "no group 'staff'"),
            ("5000", "5000:GROUP"),
            ("broken", "no user 'broken'"),
            ("-1:0", "no user '-1'"),
        ] {
            let error = find(text, PASSWD, GROUP).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
