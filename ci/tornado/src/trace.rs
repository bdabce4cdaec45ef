//! What happened in a script, line by line, and where two traces differ.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};

/// How many lines before the first difference are shown.
const SHOWN_BEFORE: usize = 6;

/// How many lines from the first difference on are shown.
const SHOWN_FROM: usize = 6;

/// A task went on, or a call was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// When, in units from the script's begin.
    pub at: u64,
    /// Who; `None` for a call that the loop made.
    pub task: Option<usize>,
    /// The operation's number in its script.
    pub number: u64,
    /// The operation's name, and what it gave.
    pub what: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.at)?;
        match self.task {
            Some(task) => write!(f, "{task}")?,
            None => f.write_str("-")?,
        }
        write!(f, " {} {}", self.number, self.what)
    }
}

impl Line {
    /// The line that [`Display`](fmt::Display) printed.
    ///
    /// # Errors
    /// It is something else: the message of a failure, for example.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words = text.splitn(4, ' ');
        let mut next = || words.next().with_context(|| format!("this is no line: {text}"));
        let at = next()?.parse().with_context(|| format!("a time begins a line: {text}"))?;
        let task = Some(next()?).filter(|task| *task != "-").map(str::parse).transpose()?;
        Ok(Self { at, task, number: next()?.parse()?, what: next()?.to_owned() })
    }

    /// Whether it is one of those whose order within an instant Tornado leaves to a set.
    fn is_unordered(&self, numbers: &BTreeSet<u64>) -> bool {
        self.task.is_some() && numbers.contains(&self.number)
    }
}

/// The trace with the lines of `unordered` operations at the end of their instant, by number.
fn in_order(trace: &[Line], unordered: &BTreeSet<u64>) -> Vec<Line> {
    let mut sorted = trace.to_vec();
    // The sort is stable: all other lines of an instant stay as they are.
    sorted.sort_by_key(|line| {
        let behind = line.is_unordered(unordered).then_some(line.number);
        (line.at, behind)
    });
    sorted
}

/// Where two traces differ, shown side by side; `None` when they do not.
///
/// `unordered`: the numbers of operations whose order within an instant is not compared.
pub fn difference(theirs: &[Line], ours: &[Line], unordered: &BTreeSet<u64>) -> Option<String> {
    let (theirs, ours) = (in_order(theirs, unordered), in_order(ours, unordered));
    let len = theirs.len().max(ours.len());
    let first = (0..len).find(|at| theirs.get(*at) != ours.get(*at))?;
    let show = |trace: &[Line], at: usize| trace.get(at).map_or("-".into(), Line::to_string);
    let mut shown = format!("  {:<38}  ours\n", "Tornado");
    for at in first.saturating_sub(SHOWN_BEFORE)..len.min(first + SHOWN_FROM) {
        let (left, right) = (show(&theirs, at), show(&ours, at));
        let mark = if left == right { ' ' } else { '!' };
        shown += &format!("{mark} {left:<38}  {right}\n");
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<Line> {
        text.iter().map(|line| Line::parse(line).unwrap()).collect()
    }

    #[test]
    fn a_line_survives_the_trip_through_text() {
        for line in ["12 3 7 get 5", "0 - 4 called", "9 0 1 size 1 of 2 full"] {
            assert_eq!(Line::parse(line).unwrap().to_string(), line);
        }
        for line in ["", "Task was destroyed but it is pending!", "12 3 7"] {
            assert!(Line::parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn an_order_a_time_and_an_outcome_are_compared() {
        let one = lines(&["5 0 1 get 7", "5 1 2 get 8"]);
        assert_eq!(difference(&one, &one, &BTreeSet::new()), None);
        for other in [
            &["5 1 2 get 8", "5 0 1 get 7"][..],
            &["5 0 1 get 8", "5 1 2 get 8"],
            &["5 0 1 get 7", "6 1 2 get 8"],
            &["5 0 1 get 7"],
            &["5 0 1 get 7", "5 1 2 get 8", "5 1 3 sleep done"],
        ] {
            let found = difference(&one, &lines(other), &BTreeSet::new());
            assert!(found.is_some_and(|text| text.contains("\n! ")), "{other:?}");
        }
    }

    #[test]
    fn what_stands_in_a_set_is_compared_as_one() {
        let one = lines(&["5 0 1 wait granted", "5 1 2 wait granted", "5 2 3 sleep done"]);
        let other = lines(&["5 2 3 sleep done", "5 1 2 wait granted", "5 0 1 wait granted"]);
        assert_eq!(difference(&one, &other, &BTreeSet::from([1, 2])), None);
        assert!(difference(&one, &other, &BTreeSet::from([1])).is_some());
        let late = lines(&["5 2 3 sleep done", "5 0 1 wait granted", "6 1 2 wait granted"]);
        assert!(difference(&one, &late, &BTreeSet::from([1, 2])).is_some());
    }
}
