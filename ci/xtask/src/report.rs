//! Runs named steps one after another and closes with a table of what passed, failed, and took how
//! long.
//!
//! A failed step does not stop the next one: a run on another machine tells everything at once.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The steps that were run so far.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
}

struct Step {
    name: String,
    failure: Option<String>,
    took: Duration,
}

impl Report {
    /// Runs one step and notes how it ended.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        println!("\n== {name}");
        let start = Instant::now();
        let failure = run().err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            println!("== {name} failed: {failure}");
        }
        self.steps.push(Step { name: name.to_owned(), failure, took: start.elapsed() });
    }

    /// Prints the table and the line `N passed, N failed`; fails when a step failed or none ran.
    pub(crate) fn close(self) -> Result<()> {
        println!("\n{}", self.table());
        if self.failed() > 0 {
            bail!("{} of {} steps failed", self.failed(), self.steps.len());
        }
        if self.steps.is_empty() {
            bail!("no step was run");
        }
        Ok(())
    }

    fn failed(&self) -> usize {
        self.steps.iter().filter(|step| step.failure.is_some()).count()
    }

    fn table(&self) -> String {
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for step in &self.steps {
            let mark = if step.failure.is_none() { "pass" } else { "FAIL" };
            // One line a step: the whole message was printed where the step failed.
            let first = step.failure.as_deref().and_then(|text| text.lines().next()).unwrap_or("");
            let line = format!(
                "{mark}  {:width$}  {:>7.1} s  {first}",
                step.name,
                step.took.as_secs_f64()
            );
            table.push_str(line.trim_end());
            table.push('\n');
        }
        let failed = self.failed();
        table.push_str(&format!("\n{} passed, {failed} failed", self.steps.len() - failed));
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_stop_the_next_and_fails_the_run() {
        let mut report = Report::default();
        report.step("first", || bail!("line one\nline two"));
        report.step("second", || Ok(()));
        let table = report.table();
        assert!(table.contains("FAIL  first "), "{table}");
        assert!(table.contains("line one") && !table.contains("line two"), "{table}");
        assert!(table.contains("pass  second"), "{table}");
        assert!(table.ends_with("\n1 passed, 1 failed"), "{table}");
        assert!(report.close().is_err());
    }

    #[test]
    fn a_run_of_no_steps_fails() {
        assert!(Report::default().close().is_err());
    }
}
