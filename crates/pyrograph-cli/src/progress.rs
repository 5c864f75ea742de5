//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{self, IsTerminal, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{
    HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
    WeakProgressBar,
};

/// Time between looks at whether there is something to draw.
const TICK: Duration = Duration::from_millis(250);
/// When the first line comes.
const FIRST_LINE: Duration = Duration::from_millis(900);
/// The most time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// Looks at the bar a second, at most.
const DRAWS_A_SECOND: u8 = 10;

/// The bar that was made last: remarks of the handler of Ctrl-C go above it.
static CURRENT: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// A bar with rate and time left; none when `quiet`. Where standard error is no terminal, a line
/// within the first second of work, and then more and more rarely, down to one a minute.
pub(crate) fn bar(total: u64, quiet: bool) -> ProgressBar {
    let (bar, line) = (
        "{bar:30} {pos}/{len} {per_sec} · {eta} left {msg}",
        "{done}{elapsed} so far{left} {msg}",
    );
    with_templates(total, quiet, bar, line)
}

/// A bar whose steps are shares of a time, which nobody wants to count.
pub(crate) fn bar_of_time(total: u64, quiet: bool) -> ProgressBar {
    let (bar, line) = (
        "{bar:30} {percent} % · {eta} left {msg}",
        "{percent} % · {elapsed} so far{left} {msg}",
    );
    with_templates(total, quiet, bar, line)
}

/// What stands for a bar where nobody knows how much there is to do: `what` and the time so far.
pub(crate) fn waiting(what: &'static str, quiet: bool) -> ProgressBar {
    let bar = with_templates(
        0,
        quiet,
        "{spinner} {msg} {elapsed}",
        "{msg} {elapsed} so far",
    );
    bar.set_message(what);
    bar
}

/// A remark on standard error, above the bar where there is one.
pub(crate) fn say(text: &str) {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    let bar = current.as_ref().and_then(WeakProgressBar::upgrade);
    drop(current);
    match bar.filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(|| eprintln!("{text}")),
        None => eprintln!("{text}"),
    }
}

fn with_templates(total: u64, quiet: bool, of_bar: &str, of_line: &str) -> ProgressBar {
    if quiet {
        return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    }
    let (target, template) = match io::stderr().is_terminal() {
        true => (ProgressDrawTarget::stderr(), of_bar),
        false => {
            let lines = Box::new(Lines::default());
            let target = ProgressDrawTarget::term_like_with_hz(lines, DRAWS_A_SECOND);
            (target, of_line)
        }
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    // A template that does not read costs the bar its looks, not the user the run.
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key(
            "done",
            |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                // Writing to a text does not fail.
                let _ = match state.len() {
                    None | Some(0) if state.pos() == 0 => Ok(()),
                    None | Some(0) => write!(text, "{} · ", state.pos()),
                    Some(len) => write!(text, "{} of {len} · ", state.pos()),
                };
            },
        )
        .with_key(
            "left",
            |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                if state.pos() > 0 && state.len().is_some_and(|len| len > state.pos()) {
                    let _ = write!(text, ", {} left", HumanDuration(state.eta()));
                }
            },
        );
    bar.set_style(style);
    bar.enable_steady_tick(TICK);
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
    bar
}

/// What is no terminal: it shows the bar's line when the next one is due.
#[derive(Debug)]
struct Lines {
    began: Instant,
    due: Mutex<Duration>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            due: Mutex::new(FIRST_LINE),
        }
    }
}

/// When the next line is due after one at `elapsed`.
fn due_after(elapsed: Duration) -> Duration {
    const SOONEST: Duration = Duration::from_secs(4);
    elapsed + elapsed.clamp(SOONEST, LINE_EVERY)
}

impl TermLike for Lines {
    fn width(&self) -> u16 {
        240
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let text = text.trim();
        let elapsed = self.began.elapsed();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if text.is_empty() || elapsed < *due {
            return Ok(());
        }
        *due = due_after(elapsed);
        writeln!(io::stderr(), "{text}")
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_within_a_second_and_then_more_rarely_down_to_one_a_minute() {
        assert!(FIRST_LINE < Duration::from_secs(1));
        let mut at = FIRST_LINE;
        let mut gaps = Vec::new();
        for _ in 0..10 {
            let next = due_after(at);
            gaps.push(next - at);
            at = next;
        }
        assert!(gaps.is_sorted(), "{gaps:?}");
        assert_eq!(gaps.last(), Some(&LINE_EVERY));
    }
}
