//! The table as a bar chart.

use std::fmt::Write;

use crate::{Measured, contestants::Contestant, rows::Unit};

const LEFT: f64 = 300.0;
const WIDTH: f64 = 860.0;
const BAR: f64 = 9.0;

/// Draws the cost of each contestant relative to this library, on a logarithmic scale, as SVG.
pub fn draw(all: &[Measured]) -> String {
    let rows: Vec<&Measured> = all.iter().filter(|row| row.ratio(Contestant::Original).is_some()).collect();
    let mut body = String::new();
    let mut y = 62.0;
    let largest =
        rows.iter().flat_map(|row| [Contestant::Original, Contestant::Ffmpeg].map(|c| row.ratio(c)));
    let largest = largest.flatten().fold(10.0, f64::max).log10().ceil();
    let smallest = -1.0;
    let x = |ratio: f64| {
        LEFT + (ratio.log10().max(smallest) - smallest) / (largest - smallest) * (WIDTH - LEFT - 60.0)
    };
    for row in &rows {
        let top = y;
        for (contestant, color) in [
            (Contestant::Original, "#c2410c"),
            (Contestant::Ffmpeg, "#64748b"),
            (Contestant::Socket, "#a3a3a3"),
        ] {
            let Some(ratio) = row.ratio(contestant) else { continue };
            let (from, to) = (x(1.0).min(x(ratio)), x(1.0).max(x(ratio)));
            let _ = writeln!(
                body,
                r#"<rect x="{from:.1}" y="{y:.1}" width="{:.1}" height="{BAR}" fill="{color}"/><text x="{:.1}" y="{:.1}" font-size="10">{}</text>"#,
                (to - from).max(1.0),
                to + 4.0,
                y + BAR - 1.0,
                times(ratio)
            );
            y += BAR + 2.0;
        }
        let unit = if row.row.unit == Unit::Memory { " (memory)" } else { "" };
        let middle = (top + y) / 2.0 + 2.0;
        let _ = writeln!(
            body,
            r#"<text x="{:.1}" y="{middle:.1}" text-anchor="end">{}{unit}</text>"#,
            LEFT - 10.0,
            row.row.name
        );
        y += 8.0;
    }
    let mut scale = String::new();
    for power in smallest as i32..=largest as i32 {
        let at = x(10_f64.powi(power));
        let color = if power == 0 { "#15803d" } else { "#d4d4d4" };
        let _ = writeln!(
            scale,
            r#"<line x1="{at:.1}" y1="52" x2="{at:.1}" y2="{y:.1}" stroke="{color}"/><text x="{at:.1}" y="48" text-anchor="middle" font-size="10">{}</text>"#,
            times(10_f64.powi(power))
        );
    }
    let legend = r##"<text x="10" y="20" font-size="14" font-weight="bold">CPU time in relation to this library (green line; further right is slower)</text>
<rect x="10" y="30" width="10" height="10" fill="#c2410c"/><text x="24" y="39">librtmp 2.4</text>
<rect x="104" y="30" width="10" height="10" fill="#64748b"/><text x="118" y="39">FFmpeg</text>
<rect x="174" y="30" width="10" height="10" fill="#a3a3a3"/><text x="188" y="39">bare socket</text>"##;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0}" viewBox="0 0 {WIDTH} {y:.0}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
{legend}
{scale}{body}</svg>
"#
    )
}

fn times(ratio: f64) -> String {
    if ratio >= 10.0 { format!("{ratio:.0}×") } else { format!("{ratio:.1}×") }
}
