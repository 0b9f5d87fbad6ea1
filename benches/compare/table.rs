//! The results as a Markdown table.

use crate::{ABSENT, Figures, Measured, contestants::Contestant};

/// The lines around the results in the README.
const BEGINS: &str = "<!-- written by make bench -->";
const ENDS: &str = "<!-- until here -->";

/// The width of a row's name.
const NAME: usize = 46;

/// The columns that are shown.
pub struct Table {
    columns: Vec<Column>,
    /// The contestants whose figures share a cell.
    compared: Vec<Contestant>,
}

/// A column of the table.
struct Column {
    heading: &'static str,
    width: usize,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    /// The unit of the costs.
    Unit,
    /// The cost of a contestant's work.
    Cost(Contestant),
    /// The cost of a contestant divided by that of this library.
    Ratio(Contestant),
    /// The cost of this library divided by that of the bare socket.
    ToSocket,
    /// A figure of each compared library.
    Each(fn(&Figures) -> Option<f64>),
}

impl Table {
    /// With a column for an earlier build if there is one.
    pub fn new(baseline: bool) -> Self {
        let mut columns = Vec::new();
        let mut add = |heading, width, value| columns.push(Column { heading, width, value });
        let mut compared = vec![Contestant::Ours, Contestant::Original];
        add("unit", 5, Value::Unit);
        add("ours", 7, Value::Cost(Contestant::Ours));
        add("librtmp", 14, Value::Cost(Contestant::Original));
        add("ratio", 6, Value::Ratio(Contestant::Original));
        if baseline {
            compared.push(Contestant::Baseline);
            add("baseline", 14, Value::Cost(Contestant::Baseline));
            add("ratio", 6, Value::Ratio(Contestant::Baseline));
        }
        add("Rust", 7, Value::Cost(Contestant::Rust));
        add("ratio", 6, Value::Ratio(Contestant::Rust));
        add("FFmpeg", 7, Value::Cost(Contestant::Ffmpeg));
        add("ratio", 6, Value::Ratio(Contestant::Ffmpeg));
        add("socket", 7, Value::Cost(Contestant::Socket));
        add("to socket", 9, Value::ToSocket);
        let width = |one: usize| compared.len() * (one + 3) - 3;
        add("wall", width(6), Value::Each(|figures| Some(figures.wall)));
        add("calls each", width(6), Value::Each(|figures| figures.calls));
        add("allocs each", width(6), Value::Each(|figures| Some(figures.allocations)));
        add("peak MB", width(5), Value::Each(|figures| Some(figures.peak / 1e6)));
        Self { columns, compared }
    }

    /// The names of the columns, and the line below them.
    pub fn heading(&self) -> String {
        let names = self.line_of("", |column| column.heading.to_owned());
        format!("{names}\n{}", self.line_of("---", |_| "---:".to_owned()))
    }

    /// The figures of one row.
    pub fn line(&self, measured: &Measured) -> String {
        self.line_of(measured.row.name, |column| match column.value {
            Value::Unit => measured.row.unit.name().to_owned(),
            Value::Cost(contestant) => match measured.figures[contestant as usize] {
                Ok(figures) => number(Some(figures.cost)),
                Err(reason) => reason.to_owned(),
            },
            Value::Ratio(contestant) => number(measured.ratio(contestant)),
            Value::ToSocket => number(measured.ratio(Contestant::Socket).map(|ratio| 1.0 / ratio)),
            Value::Each(of) => {
                let figures = self.compared.iter().map(|contestant| measured.of(*contestant));
                let numbers = figures.map(|figures| number(figures.as_ref().and_then(of)));
                numbers.collect::<Vec<_>>().join(" / ")
            }
        })
    }

    /// A line with aligned cells, so that the text is readable.
    fn line_of(&self, name: &str, cell: impl Fn(&Column) -> String) -> String {
        let cells = self.columns.iter().map(|column| format!(" {:>1$} |", cell(column), column.width));
        format!("| {name:<NAME$} |{}", cells.collect::<String>())
    }
}

/// The rows where this library is ahead of the others, and where it is behind: by its ratio, which should be at least 1.
pub fn summary(all: &[Measured]) -> String {
    let others = [Contestant::Original, Contestant::Baseline, Contestant::Ffmpeg];
    let mut lines = Vec::new();
    for other in others {
        let ratios = all.iter().filter_map(|measured| Some((measured.row.name, measured.ratio(other)?)));
        let (ahead, behind): (Vec<_>, Vec<_>) =
            ratios.filter(|(_, ratio)| ratio.is_finite()).partition(|(_, ratio)| *ratio >= 1.0);
        if ahead.len() + behind.len() == 0 {
            continue;
        }
        lines.push(format!("{}: ahead in {} rows, behind in {}", other.name(), ahead.len(), behind.len()));
        for (name, ratio) in behind {
            lines.push(format!("    {name}: {}", number(Some(ratio))));
        }
    }
    lines.join("\n")
}

/// Inserts the results between the two marker lines of the README.
pub fn replace(readme: &str, results: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGINS)?;
    let (_, after) = rest.split_once(ENDS)?;
    Some(format!("{before}{BEGINS}\n{results}\n{ENDS}{after}"))
}

/// Three digits, or a dash.
fn number(value: Option<f64>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(value) if !value.is_finite() => ABSENT.to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) if value >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}
