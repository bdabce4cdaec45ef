//! A table of figures: a row for each, a column for each server, and what ours is meant to reach.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// What the code calls it.
    pub(super) key: &'static str,
    /// What it is, for who reads the table.
    pub(super) what: &'static str,
    /// What it should be, where something was set.
    pub(super) goal: Option<Goal>,
}

impl Row {
    /// A row.
    pub(super) const fn new(key: &'static str, what: &'static str, goal: Option<Goal>) -> Self {
        Self { key, what, goal }
    }
}

/// One measured value, and the least and the most of it where it was taken several times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    value: f64,
    spread: Option<(f64, f64)>,
}

impl Cell {
    /// Something that does not drift.
    pub(super) fn exact(value: f64) -> Self {
        Self { value, spread: None }
    }

    /// The middle one of some; none without any.
    pub(super) fn middle(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let value = values.get(values.len() / 2).copied()?;
        let spread = (values.first().copied()?, values.last().copied()?);
        Some(Self { value, spread: Some(spread) })
    }
}

/// The table.
pub(super) struct Table {
    rows: &'static [Row],
    servers: Vec<&'static str>,
    /// Which of the servers is meant to reach the goals.
    ours: &'static str,
    /// By row, then by server.
    cells: BTreeMap<(&'static str, &'static str), Cell>,
}

impl Table {
    /// An empty one.
    pub(super) fn new(
        rows: &'static [Row],
        servers: Vec<&'static str>,
        ours: &'static str,
    ) -> Self {
        Self { rows, servers, ours, cells: BTreeMap::new() }
    }

    /// Puts a figure of a server into the row of this key.
    ///
    /// # Panics
    /// There is no such row: it would never be seen.
    pub(super) fn put(&mut self, key: &str, server: &'static str, cell: Cell) {
        let row = self.rows.iter().find(|row| row.key == key);
        let row = row.unwrap_or_else(|| panic!("no row `{key}`"));
        self.cells.insert((row.key, server), cell);
    }

    /// As Markdown, and what is to be said about it below.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("| |");
        for server in &self.servers {
            let _ = write!(text, " {server} |");
        }
        let _ = write!(text, " goal | met | {}, least to most |\n|---|", self.ours);
        text.push_str(&"---|".repeat(self.servers.len() + 3));
        text.push('\n');
        for row in self.rows {
            let _ = write!(text, "| {} |", row.what);
            for server in &self.servers {
                let cell = self.cells.get(&(row.key, *server));
                let _ = write!(text, " {} |", cell.map_or("-".to_owned(), |it| number(it.value)));
            }
            let own = self.cells.get(&(row.key, self.ours));
            let goal = row.goal.map_or("-".to_owned(), Goal::text);
            let met = row.goal.zip(own).map_or("-", |(goal, own)| goal.verdict(own.value));
            let spread = own.and_then(|own| own.spread);
            let spread = spread.map_or("-".to_owned(), |(least, most)| {
                format!("{} to {}", number(least), number(most))
            });
            let _ = writeln!(text, " {goal} | {met} | {spread} |");
        }
        let sentences = self.sentences();
        if !sentences.is_empty() {
            let _ = write!(text, "\n{}\n", sentences.join("\n"));
        }
        text
    }

    /// What there is to say about each goal that was set: one that was missed, by how much, and one
    /// that nothing was measured for.
    fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for row in self.rows {
            let Some(goal) = row.goal else { continue };
            let (what, set, ours) = (row.what, goal.text(), self.ours);
            let Some(own) = self.cells.get(&(row.key, ours)) else {
                sentences.push(format!("{what}: the goal is {set}, and {ours} was not measured."));
                continue;
            };
            if goal.is_met(own.value) {
                continue;
            }
            let value = number(own.value);
            let mut sentence = format!("{what}: {ours} has {value}, and the goal is {set}");
            if let Some(best) = self.best(row.key, goal) {
                let _ = write!(sentence, "; the best of the others, {best}");
            }
            sentences.push(sentence + ".");
        }
        sentences
    }

    /// Who of the others but the first, which is the floor, does best.
    fn best(&self, key: &'static str, goal: Goal) -> Option<String> {
        let others = self.servers.iter().skip(1).filter(|server| **server != self.ours);
        let values = others.filter_map(|it| Some((it, self.cells.get(&(key, *it))?.value)));
        let order = |(_, one): &(_, f64), (_, other): &(_, f64)| one.total_cmp(other);
        let best = match goal {
            Goal::AtLeast(_) => values.max_by(order),
            Goal::AtMost(_) => values.min_by(order),
        };
        best.map(|(server, value)| format!("{server}, has {}", number(value)))
    }
}

impl Goal {
    /// A value is judged as it is printed.
    fn is_met(self, value: f64) -> bool {
        let as_printed = |value: f64| number(value).parse::<f64>().unwrap_or(f64::NAN);
        match self {
            Self::AtLeast(least) => as_printed(value) >= least,
            Self::AtMost(most) => as_printed(value) <= most,
        }
    }

    fn verdict(self, value: f64) -> &'static str {
        if self.is_met(value) { "yes" } else { "no" }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("at least {}", number(least)),
            Self::AtMost(most) => format!("at most {}", number(most)),
        }
    }
}

/// Two decimals below a hundred, none above.
fn number(value: f64) -> String {
    // Nothing is less than nothing, also where it was rounded.
    let value = if value.abs() < 0.005 { 0.0 } else { value };
    if value.abs() < 99.995 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[Row] = &[
        Row::new("rate", "requests : floor", Some(Goal::AtLeast(0.97))),
        Row::new("instructions", "instructions", Some(Goal::AtMost(1700.0))),
        Row::new("cpu", "CPU : floor", None),
    ];

    #[test]
    fn the_middle_one_counts() {
        for (figures, expected) in [
            (&[3.0, 1.0, 2.0][..], Some((2.0, 1.0, 3.0))),
            (&[9.0], Some((9.0, 9.0, 9.0))),
            (&[1.0, 8.0], Some((8.0, 1.0, 8.0))),
            (&[], None),
        ] {
            let cell =
                expected.map(|(value, least, most)| Cell { value, spread: Some((least, most)) });
            assert_eq!(Cell::middle(figures.to_vec()), cell, "{figures:?}");
        }
    }

    #[test]
    fn a_goal_is_met_as_its_value_is_printed() {
        let table = [
            (Goal::AtLeast(0.97), 0.97, true),
            (Goal::AtLeast(0.97), 0.9651, true),
            (Goal::AtLeast(0.97), 0.9649, false),
            (Goal::AtMost(2.04), 2.0449, true),
            (Goal::AtMost(2.04), 2.05, false),
            (Goal::AtMost(1700.0), 1700.4, true),
            (Goal::AtMost(1700.0), 1701.0, false),
            (Goal::AtMost(0.0), -0.001, true),
            (Goal::AtMost(0.0), f64::NAN, false),
        ];
        for (goal, value, met) in table {
            assert_eq!(goal.is_met(value), met, "{goal:?} {value}");
        }
    }

    #[test]
    fn the_table_has_ratios_goals_and_a_sentence_for_each_that_was_missed() {
        let mut table = Table::new(ROWS, vec!["floor", "ours", "hyper", "nginx"], "ours");
        table.put("cpu", "floor", Cell::exact(1.0));
        table.put("cpu", "ours", Cell { value: 1.126, spread: Some((1.1, 1.15)) });
        for (server, value) in [("floor", 600.0), ("ours", 2_140.3), ("hyper", 5_900.0)] {
            table.put("instructions", server, Cell::exact(value));
        }
        table.put("instructions", "nginx", Cell::exact(7_100.0));
        let expected = "\
| | floor | ours | hyper | nginx | goal | met | ours, least to most |
|---|---|---|---|---|---|---|---|
| requests : floor | - | - | - | - | at least 0.97 | - | - |
| instructions | 600 | 2140 | 5900 | 7100 | at most 1700 | no | - |
| CPU : floor | 1.00 | 1.13 | - | - | - | - | 1.10 to 1.15 |

requests : floor: the goal is at least 0.97, and ours was not measured.
instructions: ours has 2140, and the goal is at most 1700; the best of the others, hyper, has 5900.
";
        assert_eq!(table.text(), expected);
    }

    #[test]
    #[should_panic(expected = "no row `other`")]
    fn a_figure_without_a_row_is_a_mistake() {
        Table::new(ROWS, vec!["floor"], "floor").put("other", "floor", Cell::exact(1.0));
    }
}
