//! Columns for people: as wide as their widest cell, and on a narrow terminal broken into several
//! lines a row, at the same column in each.
//!
//! Pure. Read next: [`super::fit`] for lines that are no rows.

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
pub(super) struct TextTable<const N: usize> {
    columns: [Column; N],
    widths: [usize; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> TextTable<N> {
    /// A table with these rows.
    pub(super) fn new(columns: [Column; N], rows: Vec<[String; N]>) -> Self {
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

    /// The lines of the headings.
    pub(super) fn head(&self, columns: Option<usize>) -> Vec<String> {
        let titles = self.columns.map(|column| column.title.to_owned());
        self.lines_of(&titles, columns).into_iter().map(|line| paint(TextStyle::Quiet, line)).collect()
    }

    /// The lines of each row, in order.
    pub(super) fn rows(&self, columns: Option<usize>) -> impl Iterator<Item = Vec<String>> {
        self.rows.iter().map(move |row| self.lines_of(row, columns))
    }

    fn lines_of(&self, cells: &[String; N], columns: Option<usize>) -> Vec<String> {
        let mut lines = vec![String::new()];
        let mut at = 0;
        // A column without a heading and without a cell isn't there.
        let shown = cells.iter().zip(&self.columns).zip(self.widths).filter(|(_, wide)| *wide > 0);
        for ((cell, column), wide) in shown {
            if columns.is_some_and(|columns| at > INDENT && at + GAP + wide > columns) {
                at = if columns.is_some_and(|columns| INDENT + wide > columns) { 0 } else { INDENT };
                lines.push(" ".repeat(at));
            } else if at > 0 {
                at += GAP;
            }
            let Some(line) = lines.last_mut() else { continue };
            let blank = " ".repeat(wide.saturating_sub(width(cell)));
            // A cell beyond its column's limit pushes the rest of its row to the right.
            let least = usize::from(!line.trim().is_empty());
            line.push_str(&" ".repeat(at.saturating_sub(width(line)).max(least)));
            if column.is_right {
                line.push_str(&blank);
            }
            line.push_str(cell);
            at += wide;
        }
        lines.retain(|line| !line.trim().is_empty());
        lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TextTable<4> {
        let row = |address: &str, id: &str, marks: &str| ["synced", address, id, marks].map(str::to_owned);
        let rows = vec![row("sword", "123456", "current"), row("ui/a.png", "7", "")];
        let columns = [Column::left("STATE"), Column::left("ADDRESS"), Column::right("ASSET ID"), Column::left("")];
        TextTable::new(columns, rows)
    }

    #[track_caller]
    fn check(columns: Option<usize>, expected: &[&str]) {
        let table = table();
        let head = table.head(columns);
        let plain = head.iter().map(|line| anstream::adapter::strip_str(line).to_string());
        let all: Vec<String> = plain.chain(table.rows(columns).flatten()).collect();
        assert_eq!(all, expected);
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
        let rows = vec![["a long address".to_owned(), "1".to_owned()], ["b".to_owned(), "2".to_owned()]];
        let table = TextTable::new([Column::left("A").at_most(4), Column::left("B")], rows);
        let lines: Vec<String> = table.rows(None).flatten().collect();
        assert_eq!(lines, ["a long address 1", "b     2"]);
    }
}
