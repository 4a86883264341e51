//! The expression of a logical signature → a condition over its parts.
//!
//! ```text
//! expression := term [(& | |) expression]      one precedence, from the right
//! term       := (number | '(' expression ')') [(= | > | <) number [, number]]
//! ```
//!
//! A count behind a block adds up what its parts found: of an `&` nothing unless all of it holds. That is why such a count
//! becomes one case for each way in which the blocks inside can hold.
#![forbid(unsafe_code)]

use super::{Trouble, number};
use crate::path::printable;
use crate::signature::condition::{Condition, Count, Relation};

/// The longest expression in bytes; those of the published databases have some hundred.
const LENGTH: usize = 4096;

/// How deep a tree may be. Evaluation recurses as deep.
const DEPTH: usize = 32;

/// The most blocks inside of one counted block that hold or not by themselves: each doubles its cases.
const GUARDS: usize = 5;

/// The most steps that an expression may become.
const STEPS: usize = 4096;

/// What an expression says.
#[derive(Debug)]
pub(super) struct Expression {
    /// Over the numbers of parts as they were written.
    pub(super) condition: Condition,
    /// The largest of these numbers.
    pub(super) last: usize,
}

/// Reads an expression.
pub(super) fn expression(text: &[u8]) -> Result<Expression, Trouble> {
    if text.len() > LENGTH {
        return Err(Trouble::never("an expression of more than 4096 bytes"));
    }
    let mut reader = Reader {
        text,
        at: 0,
        last: 0,
    };
    let node = reader.chain(0)?;
    if !reader.rest().is_empty() {
        return Err(reader.wrong("nothing opens what closes"));
    }
    let condition = node.condition()?;
    match steps(&condition) > STEPS {
        true => Err(Trouble::never("an expression of too many steps")),
        false => Ok(Expression {
            condition,
            last: reader.last,
        }),
    }
}

/// As it was written.
#[derive(Debug, Clone)]
enum Node {
    Part(usize),
    And(Vec<Node>),
    Or(Vec<Node>),
    Counted(Box<Node>, Relation, u32, u32),
}

/// A share of a sum: what these parts found, if all guards hold.
#[derive(Debug, Clone)]
struct Share {
    guards: Vec<Condition>,
    parts: Vec<usize>,
}

impl Node {
    fn condition(&self) -> Result<Condition, Trouble> {
        let all = |nodes: &[Self]| {
            nodes
                .iter()
                .map(Self::condition)
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            Self::Part(part) => Condition::Test(*part),
            Self::And(nodes) => Condition::And(all(nodes)?),
            Self::Or(nodes) => Condition::Or(all(nodes)?),
            Self::Counted(node, relation, times, different) => {
                let (relation, times) = (*relation, *times);
                match node.as_ref() {
                    // Of one part the second number says nothing.
                    Self::Part(part) => count(&[*part], relation, times, 0),
                    node => cases(node.shares()?, relation, times, *different)?,
                }
            }
        })
    }

    /// What adds up to the count of a block.
    fn shares(&self) -> Result<Vec<Share>, Trouble> {
        let mut shares = Vec::new();
        match self {
            Self::Part(part) => shares.push(Share {
                guards: vec![],
                parts: vec![*part],
            }),
            Self::Or(nodes) => {
                for node in nodes {
                    shares.extend(node.shares()?);
                }
            }
            Self::And(nodes) => {
                let guard = self.condition()?;
                for node in nodes {
                    shares.extend(node.shares()?);
                }
                guarded(&mut shares, &guard);
            }
            Self::Counted(node, ..) => {
                let guard = self.condition()?;
                shares = node.shares()?;
                guarded(&mut shares, &guard);
            }
        }
        Ok(shares)
    }
}

fn guarded(shares: &mut [Share], guard: &Condition) {
    for share in shares {
        if !share.guards.contains(guard) {
            share.guards.push(guard.clone());
        }
    }
}

fn count(parts: &[usize], relation: Relation, times: u32, different: u32) -> Condition {
    // A part that stands twice adds twice, and is different from itself never.
    Condition::Count(Count {
        of: parts.iter().map(|part| vec![*part]).collect(),
        relation,
        times,
        different,
    })
}

/// One case for each way in which the guards hold.
fn cases(
    shares: Vec<Share>,
    relation: Relation,
    times: u32,
    different: u32,
) -> Result<Condition, Trouble> {
    let mut guards: Vec<Condition> = Vec::new();
    for guard in shares.iter().flat_map(|share| &share.guards) {
        if !guards.contains(guard) {
            guards.push(guard.clone());
        }
    }
    // Before they are copied into the cases: blocks that count blocks would grow beyond any bound.
    let size: usize = guards.iter().map(steps).sum();
    if guards.len() > GUARDS || size << guards.len() > STEPS {
        return Err(Trouble::never("a count over too many blocks"));
    }
    let mut ways = Vec::new();
    for way in 0_u32..1 << guards.len() {
        let holds = |guard: &Condition| {
            let at = guards.iter().position(|one| one == guard);
            at.is_some_and(|at| way >> at & 1 == 1)
        };
        let parts: Vec<usize> = (shares.iter())
            .filter(|share| share.guards.iter().all(holds))
            .flat_map(|share| share.parts.iter().copied())
            .collect();
        let mut all: Vec<_> = (guards.iter().enumerate())
            .map(|(at, guard)| match way >> at & 1 {
                1 => guard.clone(),
                _ => Condition::Not(Box::new(guard.clone())),
            })
            .collect();
        if parts.is_empty() {
            // Nothing was found: that is 0 of 0 parts.
            let fits = match relation {
                Relation::Above => false,
                Relation::Below => times > 0,
                Relation::Equal => times == 0,
            };
            if !fits || different > 0 {
                continue;
            }
        } else {
            all.push(count(&parts, relation, times, different));
        }
        ways.push(all);
    }
    let mut ways: Vec<_> = (ways.into_iter())
        .map(|mut all| match all.len() {
            1 => all.remove(0),
            _ => Condition::And(all),
        })
        .collect();
    Ok(match ways.len() {
        1 => ways.remove(0),
        _ => Condition::Or(ways),
    })
}

fn steps(condition: &Condition) -> usize {
    match condition {
        Condition::And(all) | Condition::Or(all) | Condition::Xor(all) => {
            1 + all.iter().map(steps).sum::<usize>()
        }
        Condition::Count(count) => 1 + count.of.len(),
        Condition::Not(one) => 1 + steps(one),
        Condition::Test(_) => 1,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    last: usize,
}

impl<'a> Reader<'a> {
    /// What is left, from its first byte that is no blank.
    fn rest(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let rest = rest.trim_ascii_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn wrong(&mut self, what: &str) -> Trouble {
        let rest = printable(self.rest(), 20);
        if rest.is_empty() {
            return format!("the expression: {what} at its end").into();
        }
        format!(
            "the expression: {what} at `{rest}` (character {})",
            self.at + 1
        )
        .into()
    }

    /// Terms with `&` and `|` between them.
    fn chain(&mut self, depth: usize) -> Result<Node, Trouble> {
        if depth == DEPTH {
            return Err(Trouble::never("an expression nested too deep"));
        }
        let mut terms = vec![self.term(depth)?];
        let mut signs = Vec::new();
        while let [sign @ (b'&' | b'|'), ..] = self.rest() {
            self.at += 1;
            signs.push(*sign);
            terms.push(self.term(depth)?);
        }
        // From the right: `a&b|c` is `a&(b|c)`.
        let mut levels = depth;
        let Some(mut node) = terms.pop() else {
            return Err(self.wrong("a part is missing"));
        };
        let mut row = Vec::new();
        let mut sign_of_row = None;
        while let Some((sign, term)) = signs.pop().zip(terms.pop()) {
            if sign_of_row != Some(sign) {
                levels += 1;
                node = joined(sign_of_row, row, node);
                row = Vec::new();
                sign_of_row = Some(sign);
            }
            row.push(term);
        }
        match levels > DEPTH {
            true => Err(Trouble::never("an expression nested too deep")),
            false => Ok(joined(sign_of_row, row, node)),
        }
    }

    fn term(&mut self, depth: usize) -> Result<Node, Trouble> {
        let node = match self.rest() {
            [b'(', ..] => {
                self.at += 1;
                let node = self.chain(depth + 1)?;
                if self.rest().first() != Some(&b')') {
                    return Err(self.wrong("a parenthesis is not closed"));
                }
                self.at += 1;
                node
            }
            _ => {
                let part = self.number("a part is missing")?;
                let part = usize::try_from(part).unwrap_or(usize::MAX);
                self.last = self.last.max(part);
                Node::Part(part)
            }
        };
        let relation = match self.rest() {
            [b'=', ..] => Relation::Equal,
            [b'>', ..] => Relation::Above,
            [b'<', ..] => Relation::Below,
            _ => return Ok(node),
        };
        self.at += 1;
        let times = self.number("a number is missing")?;
        let different = match self.rest() {
            [b',', ..] => {
                self.at += 1;
                self.number("a number is missing")?
            }
            _ => 0,
        };
        Ok(Node::Counted(Box::new(node), relation, times, different))
    }

    fn number(&mut self, missing: &str) -> Result<u32, Trouble> {
        let rest = self.rest();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = rest.get(..digits).and_then(number);
        let Some(value) = value.and_then(|value| u32::try_from(value).ok()) else {
            return Err(self.wrong(missing));
        };
        self.at += digits;
        Ok(value)
    }
}

/// A row of terms, the last of them first, and what stands behind it.
fn joined(sign: Option<u8>, mut row: Vec<Node>, behind: Node) -> Node {
    row.reverse();
    row.push(behind);
    match sign {
        Some(b'&') => Node::And(row),
        Some(_) => Node::Or(row),
        None => row.pop().unwrap_or(Node::Or(vec![])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A condition in one line.
    fn shape(condition: &Condition) -> String {
        let all = |all: &[Condition], name: &str| {
            let all: Vec<_> = all.iter().map(shape).collect();
            format!("{name}({})", all.join(" "))
        };
        match condition {
            Condition::And(list) => all(list, "and"),
            Condition::Or(list) => all(list, "or"),
            Condition::Xor(list) => all(list, "xor"),
            Condition::Not(one) => format!("not {}", shape(one)),
            Condition::Test(part) => part.to_string(),
            Condition::Count(count) => {
                let sign = match count.relation {
                    Relation::Above => ">",
                    Relation::Below => "<",
                    Relation::Equal => "=",
                };
                let of: Vec<_> = count.of.iter().flatten().map(ToString::to_string).collect();
                format!(
                    "[{}]{sign}{},{}",
                    of.join("+"),
                    count.times,
                    count.different
                )
            }
        }
    }

    #[test]
    fn every_form_of_an_expression() {
        let rows = [
            ("0", "0"),
            ("((0))", "0"),
            ("0&1", "and(0 1)"),
            ("0&1&2", "and(0 1 2)"),
            ("0|1|2", "or(0 1 2)"),
            ("0&1|2", "and(0 or(1 2))"),
            ("0|1&2", "or(0 and(1 2))"),
            ("0|1&3|2&3", "or(0 and(1 or(3 and(2 3))))"),
            ("(0&1)|2", "or(and(0 1) 2)"),
            ("0 & 1", "and(0 1)"),
            ("0=2", "[0]=2,0"),
            ("0>2", "[0]>2,0"),
            ("0<2", "[0]<2,0"),
            ("0=2,9", "[0]=2,0"),
            ("0&1=0", "and(0 [1]=0,0)"),
            ("(0|1)=3", "[0+1]=3,0"),
            ("(0|1|2)>1,2", "[0+1+2]>1,2"),
            ("(0|0)=2", "[0+0]=2,0"),
            ("(0&1)>2", "and(and(0 1) [0+1]>2,0)"),
            ("(0&1)=0", "or(not and(0 1) and(and(0 1) [0+1]=0,0))"),
            ("(0&1)<9,1", "and(and(0 1) [0+1]<9,1)"),
            (
                "((0=4)|1)=1",
                "or(and(not [0]=4,0 [1]=1,0) and([0]=4,0 [0+1]=1,0))",
            ),
            ("((0|1)=3)&(2=0)", "and([0+1]=3,0 [2]=0,0)"),
        ];
        for (text, expected) in rows {
            let found = expression(text.as_bytes()).unwrap();
            assert_eq!(shape(&found.condition), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told() {
        for text in [
            "",
            "x",
            "-1",
            "()",
            "0&",
            "&0",
            "0&&1",
            "(0",
            "0)",
            "(0)(1)",
            "0(1)",
            "0=",
            "0>x",
            "0>=2",
            "0==2",
            "!0",
            "0,1",
            "0=1,",
            "0^1",
            "0=99999999999",
            "99999999999",
            "(0)=1=1",
        ] {
            let found = expression(text.as_bytes());
            assert!(matches!(found, Err(Trouble::Wrong(_))), "{text}: {found:?}");
        }
    }

    #[test]
    fn hostile_expressions_are_bounded() {
        let long = "0&".repeat(5000) + "0";
        let deep = "(".repeat(2000) + "0" + &")".repeat(2000);
        let mixed = "0&0|".repeat(500) + "0";
        let blocks: Vec<_> = (0..20)
            .map(|part| format!("({part}&{})", part + 1))
            .collect();
        let blocks = format!("({})=1", blocks.join("|"));
        let doubled = (0..20).fold("0".to_owned(), |inner, _| format!("({inner}&1)=0"));
        let counted = (0..6).fold("0".to_owned(), |inner, _| format!("({inner}|1)=1"));
        for text in [long, deep, mixed, blocks, doubled, counted] {
            let found = expression(text.as_bytes());
            assert!(
                matches!(found, Err(Trouble::Aside(..))),
                "{text}: {found:?}"
            );
        }
    }
}
