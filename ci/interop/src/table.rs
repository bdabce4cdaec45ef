//! The table at the end: program, version, what it did, how that ended.

use std::time::Duration;

use anyhow::{Result, bail};

/// How it ended with one program.
pub(crate) enum Outcome {
    /// All was as it must be; what the program said of it.
    Passed(String),
    /// Something was not.
    Failed(String),
    /// It is not installed; what brings it.
    Absent(&'static str),
}

/// One line.
pub(crate) struct Row {
    /// The program's name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What it does here.
    pub(crate) what: &'static str,
    /// How that ended.
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Prints the table; fails when a program that ran failed, or when none ran.
pub(crate) fn close(rows: &[Row]) -> Result<()> {
    println!("\n{}", shown(rows));
    let ran = rows.iter().filter(|row| !matches!(row.outcome, Outcome::Absent(_))).count();
    let failed = rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed(_))).count();
    println!("{ran} ran, {failed} failed, {} not installed", rows.len() - ran);
    if failed > 0 {
        bail!("{failed} of {ran} programs failed");
    }
    if ran == 0 {
        bail!("nothing ran");
    }
    Ok(())
}

fn shown(rows: &[Row]) -> String {
    let widest = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let name = widest(|row| row.name.len());
    let version = widest(|row| row.version.len());
    let what = widest(|row| row.what.len());
    let mut table = String::new();
    for row in rows {
        let (mark, result) = match &row.outcome {
            Outcome::Passed(said) => ("pass", said.clone()),
            // The whole message was printed where it failed.
            Outcome::Failed(why) => ("FAIL", why.lines().next().unwrap_or_default().to_owned()),
            Outcome::Absent(from) => ("  - ", format!("not installed: {from}")),
        };
        let seconds = row.took.as_secs_f64();
        let line = format!(
            "{mark}  {:name$}  {:version$}  {:what$}  {seconds:>6.1} s  {result}",
            row.name, row.version, row.what,
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(outcome: Outcome) -> Row {
        let took = Duration::from_millis(1_250);
        Row { name: "curl".into(), version: "8.1".into(), what: "asks", outcome, took }
    }

    #[test]
    fn what_is_absent_is_named_and_does_not_fail_the_run() {
        let rows = [row(Outcome::Passed("well".into())), row(Outcome::Absent("Debian: curl"))];
        assert_eq!(
            shown(&rows),
            "pass  curl  8.1  asks     1.2 s  well\n  -   curl  8.1  asks     1.2 s  \
             not installed: Debian: curl\n"
        );
        assert!(close(&rows).is_ok());
        assert!(close(&rows[1..]).is_err(), "nothing ran");
        assert!(close(&[]).is_err());
        let failed = [row(Outcome::Passed("well".into())), row(Outcome::Failed("no".into()))];
        assert!(close(&failed).is_err());
    }
}
