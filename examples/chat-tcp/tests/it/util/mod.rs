//! A room in a simulated world, and the real program with clients.

pub(crate) mod program;
pub(crate) mod simulated;

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine, short enough for a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks every few milliseconds until `look` has found something, within [`PATIENCE`].
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What somebody received, without what was said to it alone: whole lines, and a cut one.
pub(crate) fn heard(text: &str) -> (Vec<String>, String) {
    let (whole, cut) = text.rsplit_once('\n').unwrap_or(("", text));
    let lines = whole.lines().filter(|line| !line.starts_with("- "));
    (lines.map(|line| format!("{line}\n")).collect(), cut.to_owned())
}

/// Whether these lines, and the start of one more, are a part of the story without a gap.
pub(crate) fn is_part_of(lines: &[String], cut: &str, story: &[String]) -> bool {
    let next = |at: usize| story.get(at + lines.len()).map_or("", String::as_str);
    let is_at = |at| cut.starts_with('-') || next(at).starts_with(cut);
    lines.is_empty() || (0..story.len()).any(|at| story[at..].starts_with(lines) && is_at(at))
}
