//! The figures of a run: a plain table for people, or one JSON document.

use std::time::Duration;

use serde_json::{Value, json};

/// One figure.
pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// The highest acceptable value.
    yardstick: Option<f64>,
}

/// The figures of one section.
pub struct Section {
    title: String,
    figures: Vec<Figure>,
}

impl Section {
    /// Makes a section without figures.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), figures: Vec::new() }
    }

    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit, yardstick: None });
    }

    /// Adds a figure that must not exceed `yardstick`.
    pub fn measure(&mut self, name: impl Into<String>, value: f64, unit: &'static str, yardstick: f64) {
        self.figures.push(Figure { name: name.into(), value, unit, yardstick: Some(yardstick) });
    }

    /// Prints the section as a table.
    pub fn print(&self) {
        println!("\n{}", self.title);
        let width = self.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or_default();
        for Figure { name, value, unit, yardstick } in &self.figures {
            let line = format!("  {name:width$}  {value:>10.2} {unit:<10}");
            match yardstick {
                Some(most) if value <= most => println!("{line}  at most {most}: kept"),
                Some(most) => println!("{line}  at most {most}: MISSED"),
                None => println!("{}", line.trim_end()),
            }
        }
    }

    /// Returns the section as JSON.
    pub fn json(&self) -> Value {
        let figures = self.figures.iter().map(|Figure { name, value, unit, yardstick }| {
            json!({ "name": name, "value": value, "unit": unit, "yardstick": yardstick })
        });
        json!({ "title": self.title, "figures": figures.collect::<Vec<_>>() })
    }
}

/// The distribution of some times.
pub struct Spread {
    sorted: Vec<Duration>,
}

impl Spread {
    /// Makes a distribution of these times, of which there must be at least one.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = times.into_iter().collect();
        assert!(!sorted.is_empty(), "nothing was measured");
        sorted.sort_unstable();
        Self { sorted }
    }

    /// Returns the time that `percent` per cent of the times don't exceed, in milliseconds. Uses
    /// the nearest rank.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        milliseconds(self.sorted[rank - 1])
    }

    /// Returns the median in milliseconds.
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }
}

/// Converts a time to milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Converts bytes to mebibytes.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
