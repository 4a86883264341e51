//! How gaps become answers: each reason is an error, a finding, or passed over in the verdict.
//!
//! A gap that passes is still counted, logged and listed; a policy only decides what the verdict makes of it
//! (design: policy).
#![forbid(unsafe_code)]

use crate::event::{Reason, ReasonClass};

/// What a gap does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The verdict is `incomplete`.
    Error,
    /// The verdict is `infected`, by `GAP Incomplete/reason`.
    Infected,
    /// The verdict does not change.
    Pass,
}

/// Who asks: policies differ by listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Those who speak clamd's protocol.
    Clamd,
    /// Those who speak HTTP.
    Http,
    /// The SVSP port.
    Svsp,
    /// The command line scanner `vfind`.
    Vfind,
}

impl Listener {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Clamd, "clamd"),
        (Self::Http, "http"),
        (Self::Svsp, "svsp"),
        (Self::Vfind, "vfind"),
    ];
}

/// The actions of one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<(ReasonClass, Action)>,
}

impl Policy {
    /// The defaults: everything is an error, except that `excluded` and `corrupt` pass; and `encrypted` for those who speak
    /// clamd's protocol, whose users expect that their mail arrives.
    pub fn usual(listener: Listener) -> Self {
        let mut policy = Self {
            rules: vec![
                (ReasonClass::Excluded, Action::Pass),
                (ReasonClass::Corrupt, Action::Pass),
            ],
        };
        if listener == Listener::Clamd {
            policy.set(ReasonClass::Encrypted, Action::Pass);
        }
        policy
    }

    /// The action of a gap's reason.
    pub fn action(&self, reason: &Reason) -> Action {
        let class = reason.class();
        let said = self.rules.iter().rev().find(|(c, _)| *c == class);
        said.map_or(Action::Error, |(_, action)| *action)
    }

    /// Overrides one reason; the last word holds.
    pub fn set(&mut self, class: ReasonClass, action: Action) {
        self.rules.push((class, action));
    }
}

/// One `--policy=[LISTENER:]REASON=ACTION` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The listener it is for; all without one.
    pub listener: Option<Listener>,
    /// The reason.
    pub class: ReasonClass,
    /// What becomes of it.
    pub action: Action,
}

impl Rule {
    /// Applies the rule to the policy of `listener`, if it is for it.
    pub fn apply(&self, listener: Listener, policy: &mut Policy) {
        if self.listener.is_none_or(|one| one == listener) {
            policy.set(self.class, self.action);
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (who, rest) = match text.split_once(':') {
            Some((who, rest)) => (Some(who), rest),
            None => (None, text),
        };
        let listener = match who {
            None => None,
            Some(who) => Some(
                Listener::ALL
                    .iter()
                    .find(|(_, word)| *word == who)
                    .map(|(listener, _)| *listener)
                    .ok_or_else(|| {
                        format!("no listener is called '{who}': clamd, http, svsp, vfind")
                    })?,
            ),
        };
        let (reason, action) = rest
            .split_once('=')
            .ok_or("expected [LISTENER:]REASON=error|infected|pass")?;
        let class = ReasonClass::from_word(reason).ok_or_else(|| {
            let words: Vec<_> = ReasonClass::ALL.iter().map(|(_, word)| *word).collect();
            format!("no reason is called '{reason}': {}", words.join(", "))
        })?;
        let action = match action {
            "error" => Action::Error,
            "infected" => Action::Infected,
            "pass" => Action::Pass,
            other => {
                return Err(format!(
                    "no action is called '{other}': error, infected, pass"
                ));
            }
        };
        Ok(Self {
            listener,
            class,
            action,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Exclusion, Limit};

    #[test]
    fn what_nobody_spoke_of_is_an_error() {
        let policy = Policy::usual(Listener::Svsp);
        assert_eq!(policy.action(&Reason::Limit(Limit::Depth)), Action::Error);
        assert_eq!(policy.action(&Reason::Encrypted), Action::Error);
        assert_eq!(policy.action(&Reason::Corrupt), Action::Pass);
        assert_eq!(
            policy.action(&Reason::Excluded(Exclusion::Link)),
            Action::Pass
        );
        let clamd = Policy::usual(Listener::Clamd);
        assert_eq!(clamd.action(&Reason::Encrypted), Action::Pass);
        assert_eq!(clamd.action(&Reason::Deadline), Action::Error);
    }

    #[test]
    fn the_last_rule_for_a_listener_holds() {
        let mut policy = Policy::usual(Listener::Svsp);
        for text in [
            "corrupt=error",
            "vfind:corrupt=pass",
            "svsp:encrypted=infected",
        ] {
            text.parse::<Rule>()
                .unwrap()
                .apply(Listener::Svsp, &mut policy);
        }
        assert_eq!(policy.action(&Reason::Corrupt), Action::Error);
        assert_eq!(policy.action(&Reason::Encrypted), Action::Infected);
    }

    #[test]
    fn a_bad_rule_says_what_there_is() {
        for (text, word) in [
            ("limit", "REASON=error"),
            ("nothing=pass", "unsupported"),
            ("limit=maybe", "infected"),
            ("smtp:limit=pass", "svsp"),
        ] {
            assert!(text.parse::<Rule>().unwrap_err().contains(word), "{text}");
        }
    }
}
