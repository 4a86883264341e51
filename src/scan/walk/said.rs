//! What the walk says: findings, gaps and notes, and what it does when it must not go on.
#![forbid(unsafe_code)]

use std::io;
use std::ops::ControlFlow;

use super::{ALLOWED, DETAIL, Names, Spot, Walk};
use crate::engine::Matches;
use crate::event::{Errno, Event, Finding, Gap, Limit, Note, NoteKind, Reason, SignatureName};
use crate::expand::Halt;
use crate::path::ObjectPath;
use crate::stop::Stopped;

impl Walk<'_> {
    pub(super) fn report(
        &mut self,
        spot: &Spot,
        matches: Matches,
        inside: &Names,
        found: &mut Names,
    ) -> Result<(), Halt> {
        for (reason, detail) in matches.gaps {
            self.gap(&spot.path, reason, detail)?;
        }
        for (kind, detail) in matches.notes {
            self.note(&spot.path, kind, detail)?;
        }
        for held in matches.allowed {
            self.allowed(spot, &held.signature)?;
        }
        for held in matches.findings {
            if inside.contains(&held.signature) && !self.job.original {
                continue;
            }
            if let Err(limit) = self.budget.finding() {
                return self.over(&spot.path, limit);
            }
            found.insert(held.signature.clone());
            self.sinking(Event::Finding(Finding {
                signature: held.signature,
                path: spot.path.clone(),
                view: held.view,
                place: held.place,
            }))?;
        }
        Ok(())
    }

    /// A finding that is not reported. It is none of what is `inside`: the same bytes may be in a part of the container
    /// that nobody has allowed.
    pub(super) fn allowed(&mut self, spot: &Spot, signature: &SignatureName) -> Result<(), Halt> {
        self.allowed += 1;
        match self.allowed {
            0..=ALLOWED => self.note(&spot.path, NoteKind::Allowed, signature.to_string()),
            _ => Ok(()),
        }
    }

    /// Reading a file failed: it is unreadable, or it is time to stop.
    pub(super) fn failed(&mut self, path: &ObjectPath, error: &io::Error) -> Result<(), Halt> {
        if let Err(stopped) = self.stop.check() {
            return self.stopped(path, stopped);
        }
        self.gap(
            path,
            Reason::Unreadable(Errno::of(error)),
            error.to_string(),
        )
    }

    /// Reading decoded content failed: the container's file is unreadable, or the content is damaged.
    pub(super) fn damaged(&mut self, path: &ObjectPath, error: &io::Error) -> Result<(), Halt> {
        if self.stop.check().is_err() || error.raw_os_error().is_some() {
            return self.failed(path, error);
        }
        self.gap(path, Reason::Corrupt, error.to_string())
    }

    pub(super) fn stopped(&mut self, path: &ObjectPath, stopped: Stopped) -> Result<(), Halt> {
        if stopped == Stopped::Deadline {
            let seconds = self.job.limits.deadline.as_secs_f64();
            self.gap(
                path,
                Reason::Deadline,
                format!("not done after {seconds} s"),
            )?;
        }
        Err(Halt::Item)
    }

    /// A limit of the whole item is reached: nothing after this is examined.
    pub(super) fn over(&mut self, path: &ObjectPath, limit: Limit) -> Result<(), Halt> {
        let detail = format!(
            "{}, nothing after it was examined",
            self.limit_detail(limit)
        );
        self.gap(path, Reason::Limit(limit), detail)?;
        Err(Halt::Item)
    }

    pub(super) fn limit_detail(&self, limit: Limit) -> String {
        format!("more than {}", self.budget.value(limit))
    }

    pub(super) fn gap(
        &mut self,
        path: &ObjectPath,
        reason: Reason,
        mut detail: String,
    ) -> Result<(), Halt> {
        let path = path.clone();
        detail.truncate(detail.floor_char_boundary(DETAIL));
        self.sinking(Event::Gap(Gap {
            path,
            reason,
            detail,
        }))
    }

    pub(super) fn note(
        &mut self,
        path: &ObjectPath,
        kind: NoteKind,
        detail: String,
    ) -> Result<(), Halt> {
        let path = path.clone();
        self.sinking(Event::Note(Note { path, kind, detail }))
    }

    pub(super) fn sinking(&mut self, event: Event) -> Result<(), Halt> {
        match self.sink.event(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Halt::Item),
        }
    }
}
