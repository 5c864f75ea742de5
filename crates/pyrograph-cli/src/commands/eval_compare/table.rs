//! The figures for a person.

use pyrograph::train::compare::ComparisonRow;

/// The longest name that has room.
const WIDEST: usize = 32;

/// A line for each group under a header.
pub(super) fn in_words(rows: &[ComparisonRow]) -> String {
    let cells: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let header = [
        "group",
        "seeds",
        "params",
        "FLOPs",
        "ms/image",
        "AP@.5",
        "AP@.5:.95",
        "gain",
    ];
    let width = |column: usize| {
        let of_cells = cells.iter().map(|row| row[column].chars().count());
        of_cells.max().unwrap_or(0).max(header[column].len())
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: [&str; 8]| {
        let (name, rest) = (cells[0], &cells[1..]);
        let mut line = format!("{name:<width$}", width = widths[0]);
        for (cell, width) in rest.iter().zip(&widths[1..]) {
            line += &format!("  {cell:>width$}");
        }
        line + "\n"
    };
    let rows = cells
        .iter()
        .map(|row| line(row.each_ref().map(String::as_str)));
    line(header) + &rows.collect::<String>()
}

fn cells(row: &ComparisonRow) -> [String; 8] {
    let seeds: Vec<_> = row.seeds.iter().map(u64::to_string).collect();
    [
        row.group.chars().take(WIDEST).collect(),
        seeds.join(","),
        short(row.params),
        short(row.flops),
        format!("{:.1}", row.latency_ms),
        with_spread(row.ap50, row.ap50_std),
        with_spread(row.ap, row.ap_std),
        row.gain.map_or("-".into(), |gain| {
            let text = with_spread(gain, row.gain_std);
            if gain < 0.0 { text } else { format!("+{text}") }
        }),
    ]
}

fn with_spread(value: f64, deviation: Option<f64>) -> String {
    match deviation {
        Some(deviation) => format!("{value:.4} ± {deviation:.4}"),
        None => format!("{value:.4}"),
    }
}

/// A count in three digits: 1.23 M.
fn short(count: u64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")];
    let value = count as f64;
    let fits = |unit: &&(f64, &str)| value >= unit.0;
    let (size, unit) = units.iter().find(fits).unwrap_or(&units[3]);
    let digits = match value / size {
        _ if *size == 1.0 => 0,
        many if many >= 100.0 => 0,
        some if some >= 10.0 => 1,
        _ => 2,
    };
    format!("{:.digits$}{unit}", value / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_three_digits_and_a_unit() {
        let seen = [0, 999, 1_000, 12_345, 345_678_900, 31_500_000_000].map(short);
        assert_eq!(seen, ["0", "999", "1.00 k", "12.3 k", "346 M", "31.5 G"]);
    }

    #[test]
    fn a_group_is_a_line_with_spreads_and_the_sign_of_its_gain() {
        let row = |group: &str, gain: Option<f64>, deviation: Option<f64>| ComparisonRow {
            name: group.into(),
            group: group.into(),
            seeds: vec![0, 1],
            params: 400_000,
            flops: 2_000_000_000,
            latency_ms: 6.04,
            ap50: 0.8,
            ap50_std: deviation,
            ap: 0.4,
            ap_std: deviation,
            baseline: None,
            gain,
            gain_std: deviation,
        };
        let text = in_words(&[
            row("plain", None, None),
            row("cwd", Some(0.02), Some(0.005)),
            row("chen", Some(-0.01), None),
        ]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|c| !c.is_empty())
                    .collect()
            })
            .collect();
        let start = ["0,1", "400 k", "2.00 G", "6.0"];
        assert_eq!(
            lines[1],
            [&["plain"][..], &start, &["0.8000", "0.4000", "-"]].concat()
        );
        let spread = ["0.8000 ± 0.0050", "0.4000 ± 0.0050", "+0.0200 ± 0.0050"];
        assert_eq!(lines[2], [&["cwd"][..], &start, &spread].concat());
        assert_eq!(lines[3].last(), Some(&"-0.0100"));
    }
}
