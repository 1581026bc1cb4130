//! The command's output as lines for the log, bounded in length and in number. Pure.

use std::time::Duration;

/// The limit of a line's length, in bytes. It is enough for any message of git's; longer lines are
/// cut.
const LINE_BYTES: usize = 500;

/// The number of lines logged per minute; the others are counted. A command that prints every file
/// of a large project must not fill the journal.
const LINES_PER_MINUTE: u32 = 200;

const MINUTE: Duration = Duration::from_mins(1);

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// Returns the lines that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for byte in bytes {
            match byte {
                // A carriage return ends a line too: programs show progress with it.
                b'\n' | b'\r' => whole.extend(self.end()),
                _ if self.line.len() < LINE_BYTES => self.line.push(*byte),
                _ => self.cut = true,
            }
        }
        whole
    }

    /// Returns the last line if it has no line break.
    pub(super) fn end(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.cut);
        // Control characters could colour or clear a person's terminal.
        let text: String =
            String::from_utf8_lossy(&line).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim_end();
        (!text.is_empty()).then(|| if cut { format!("{text} …") } else { text.to_owned() })
    }
}

/// The budget of lines that may still be logged.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    window: Option<Duration>,
    used: u32,
    dropped: u64,
}

impl Allowance {
    /// Returns whether one more line may be logged now.
    pub(super) fn admit(&mut self, now: Duration) -> bool {
        if self.window.is_none_or(|begun| now.saturating_sub(begun) >= MINUTE) {
            (self.window, self.used) = (Some(now), 0);
        }
        let admitted = self.used < LINES_PER_MINUTE;
        if admitted {
            self.used += 1;
        } else {
            self.dropped += 1;
        }
        admitted
    }

    /// Returns the number of lines refused since the last call.
    pub(super) const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_any_split_of_the_bytes() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"a\nb"), ["a"]);
        assert_eq!(lines.push("\u{e9}".as_bytes().split_at(1).0), Vec::<String>::new());
        assert_eq!(lines.push("\u{e9}".as_bytes().split_at(1).1), Vec::<String>::new());
        assert_eq!(lines.push(b"\r\n\n  \nc\x1b[31m d\0"), ["b\u{e9}"]);
        assert_eq!(lines.end(), Some("c [31m d".to_owned()));
        assert_eq!(lines.end(), None);
        let mut long = lines.push(&[b'x'; LINE_BYTES * 10]);
        long.extend(lines.push(b"\ny\n"));
        assert_eq!(long, ["x".repeat(LINE_BYTES) + " …", "y".to_owned()]);
    }

    #[test]
    fn lines_over_the_limit_of_a_minute_are_dropped() {
        let mut allowance = Allowance::default();
        let admitted = |allowance: &mut Allowance, now: u64| {
            (0..1000).filter(|_| allowance.admit(Duration::from_secs(now))).count() as u32
        };
        assert_eq!(admitted(&mut allowance, 5), LINES_PER_MINUTE);
        assert_eq!((admitted(&mut allowance, 64), allowance.take_dropped()), (0, 1800));
        assert_eq!(admitted(&mut allowance, 65), LINES_PER_MINUTE);
        assert_eq!((allowance.take_dropped(), allowance.take_dropped()), (800, 0));
    }
}
