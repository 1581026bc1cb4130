//! Columns for people: as wide as their widest cell, and on a narrow terminal broken into several
//! lines a row, at the same column in each.
//!
//! Pure. Read next: [`super::fit`] for lines that are no rows.

use std::borrow::Cow;

use super::fit::width;
use super::output::{TextStyle, paint};

/// Between two columns.
const GAP: usize = 2;

/// The further lines of a row stand this much to the right.
const INDENT: usize = 4;

/// One column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its heading.
    title: &'static str,
    /// Its cells end at the same place.
    is_right: bool,
    /// Cells that are wider than this don't widen the column.
    most: usize,
}

impl Column {
    /// A column whose cells begin at the same place.
    pub(super) const fn left(title: &'static str) -> Self {
        Self { title, is_right: false, most: usize::MAX }
    }

    /// A column whose cells end at the same place.
    pub(super) const fn right(title: &'static str) -> Self {
        Self { title, is_right: true, most: usize::MAX }
    }

    /// The same with a limit.
    pub(super) const fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }
}

/// Rows below headings. A cell may have colours.
#[derive(Debug)]
pub(super) struct TextTable<'a, const N: usize> {
    columns: [Column; N],
    widths: [usize; N],
    rows: Vec<[Cow<'a, str>; N]>,
}

impl<'a, const N: usize> TextTable<'a, N> {
    /// A table with these rows.
    pub(super) fn new(columns: [Column; N], rows: Vec<[Cow<'a, str>; N]>) -> Self {
        let mut widths = columns.map(|column| width(column.title));
        for row in &rows {
            for ((widest, cell), column) in widths.iter_mut().zip(row).zip(&columns) {
                *widest = (*widest).max(width(cell).min(column.most));
            }
        }
        Self { columns, widths, rows }
    }

    /// Whether each row fits into one line.
    pub(super) fn fits(&self, columns: Option<usize>) -> bool {
        let taken: usize = self.widths.iter().filter(|wide| **wide > 0).map(|wide| wide + GAP).sum();
        columns.is_none_or(|columns| taken <= columns + GAP)
    }

    /// The headings: a line, or several.
    pub(super) fn head(&self, columns: Option<usize>) -> String {
        let head = self.row(&self.columns.map(|column| Cow::Borrowed(column.title)), columns);
        let lines: Vec<String> = head.lines().map(|line| paint(TextStyle::Quiet, line)).collect();
        lines.join("\n")
    }

    /// Each row in order: a line, or several.
    pub(super) fn rows(&self, columns: Option<usize>) -> impl Iterator<Item = String> {
        self.rows.iter().map(move |row| self.row(row, columns))
    }

    fn row(&self, cells: &[Cow<'a, str>; N], columns: Option<usize>) -> String {
        let mut text = String::with_capacity(columns.unwrap_or(80));
        // Where the next column begins, and how much of the line is taken.
        let (mut at, mut taken) = (0, 0);
        // A column without a heading and without a cell isn't there.
        let shown = cells.iter().zip(&self.columns).zip(self.widths).filter(|(_, wide)| *wide > 0);
        for ((cell, column), wide) in shown {
            if columns.is_some_and(|columns| at > INDENT && at + GAP + wide > columns) {
                at = if columns.is_some_and(|columns| INDENT + wide > columns) { 0 } else { INDENT };
                if taken > 0 {
                    text.push('\n');
                    taken = 0;
                }
            } else if at > 0 {
                at += GAP;
            }
            let wanted = width(cell);
            if wanted > 0 {
                // A cell beyond its column's limit pushes the rest of its row to the right.
                let mut blank = at.saturating_sub(taken).max(usize::from(taken > 0));
                if column.is_right {
                    blank += wide.saturating_sub(wanted);
                }
                text.extend(std::iter::repeat_n(' ', blank));
                text.push_str(cell);
                taken += blank + wanted;
            }
            at += wide;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TextTable<'static, 4> {
        let row = |address, id, marks| ["synced", address, id, marks].map(Cow::Borrowed);
        let rows = vec![row("sword", "123456", "current"), row("ui/a.png", "7", "")];
        let columns = [Column::left("STATE"), Column::left("ADDRESS"), Column::right("ASSET ID"), Column::left("")];
        TextTable::new(columns, rows)
    }

    #[track_caller]
    fn check(columns: Option<usize>, expected: &[&str]) {
        let table = table();
        let head = anstream::adapter::strip_str(&table.head(columns)).to_string();
        let all: Vec<String> = std::iter::once(head).chain(table.rows(columns)).collect();
        assert_eq!(all.join("\n").lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_row_is_one_line_where_there_is_room() {
        let whole = ["STATE   ADDRESS   ASSET ID", "synced  sword       123456  current", "synced  ui/a.png         7"];
        check(None, &whole);
        check(Some(35), &whole);
    }

    #[test]
    fn a_narrow_terminal_breaks_every_row_at_the_same_column() {
        check(
            Some(24),
            &[
                "STATE   ADDRESS",
                "    ASSET ID",
                "synced  sword",
                "      123456  current",
                "synced  ui/a.png",
                "           7",
            ],
        );
    }

    #[test]
    fn a_long_cell_does_not_widen_a_column_beyond_its_limit() {
        let rows = vec![["a long address", "1"].map(Cow::Borrowed), ["b", "2"].map(Cow::Borrowed)];
        let table = TextTable::new([Column::left("A").at_most(4), Column::left("B")], rows);
        let lines: Vec<String> = table.rows(None).collect();
        assert_eq!(lines, ["a long address 1", "b     2"]);
    }
}
