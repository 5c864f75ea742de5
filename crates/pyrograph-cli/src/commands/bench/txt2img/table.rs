//! The figures for a person.

use super::{
    figures::{PictureFigures, Report, TypeFigures},
    likeness::Likeness,
};
use crate::{columns::columns, reading::counted};

/// What was measured and how, a table of the parts, and one of the pictures.
pub(super) fn in_words(report: &Report) -> String {
    let parts = columns(
        &[
            "type",
            "load s",
            "first picture s",
            "text s",
            "UNet pass s",
            "VAE s",
            "peak memory",
        ],
        report.types.iter().map(parts),
    );
    let priced = report.price_per_hour.is_some();
    let mut header = vec![
        "type",
        "steps",
        "passes",
        "text s",
        "UNet s",
        "VAE s",
        "s/picture",
    ];
    header.extend(priced.then_some("cost of 1000"));
    let all = || report.types.iter().flat_map(|figures| &figures.pictures);
    let compared = all().any(|picture| picture.against_f32.is_some());
    header.extend(compared.then_some("PSNR to f32"));
    let of_type = |figures: &TypeFigures| {
        let pictures = figures.pictures.iter();
        let cells = pictures.map(|picture| of_picture(&figures.dtype, picture, priced, compared));
        cells.collect::<Vec<_>>()
    };
    let pictures = columns(&header, report.types.iter().flat_map(of_type));
    format!("{}\n{parts}\n{pictures}", head(report))
}

/// What was measured, and how.
fn head(report: &Report) -> String {
    let model = match &report.model {
        Some(model) => model.clone(),
        None => "random weights of the shapes of Stable Diffusion 2.1-base: pictures are noise; load draws them".into(),
    };
    let threads = report.threads.map(|count| match count {
        1 => "1 thread".to_owned(),
        count => format!("{count} threads"),
    });
    let machine: Vec<_> = [Some(report.device.clone()), threads, report.vectors.clone()]
        .into_iter()
        .flatten()
        .collect();
    let scheduler = match &report.scheduler {
        Some(name) => format!(", {name}"),
        None => String::new(),
    };
    let price = match report.price_per_hour {
        Some(price) => format!(", {price} an hour"),
        None => String::new(),
    };
    let repeats = report.repeats;
    let method = match report.method {
        "whole" => format!(
            "medians of {} of each number of steps",
            counted(repeats, "whole run")
        ),
        _ => format!(
            "medians of {} of each part; a picture is computed as text + passes × UNet pass + VAE",
            counted(repeats, "measured run")
        ),
    };
    let Report {
        width,
        height,
        guidance,
        count,
        ..
    } = report;
    let run = match count {
        1 => String::new(),
        _ => format!("; seconds of parts are those of a run of {count} pictures"),
    };
    format!(
        "{model}\n{width} × {height}, guidance {guidance}, {count} at a time{scheduler}; {}{price}\n{method}{run}\n",
        machine.join(", ")
    )
}

fn parts(figures: &TypeFigures) -> Vec<String> {
    let seconds = figures.seconds;
    let memory = figures.peak_memory_bytes;
    vec![
        figures.dtype.clone(),
        format!("{:.2}", seconds.load),
        format!("{:.2}", seconds.first_picture),
        format!("{:.3}", seconds.text),
        format!("{:.3}", seconds.unet_pass),
        format!("{:.3}", seconds.vae),
        memory.map_or("-".into(), |bytes| format!("{:.2} GB", bytes as f64 / 1e9)),
    ]
}

fn of_picture(dtype: &str, picture: &PictureFigures, priced: bool, compared: bool) -> Vec<String> {
    let seconds = picture.seconds;
    let mut cells = vec![
        dtype.to_owned(),
        picture.steps.to_string(),
        picture.passes.to_string(),
        format!("{:.3}", seconds.text),
        format!("{:.2}", seconds.unet),
        format!("{:.3}", seconds.vae),
        format!("{:.2}", seconds.total),
    ];
    if priced {
        cells.push(picture.cost_per_1000.map_or("-".into(), money));
    }
    if compared {
        cells.push(match picture.against_f32 {
            None => "-".into(),
            Some(Likeness { psnr_db: None, .. }) => "same".into(),
            Some(Likeness {
                psnr_db: Some(ratio),
                ..
            }) => format!("{ratio:.1} dB"),
        });
    }
    cells
}

/// An amount to a hundredth, and to four digits below 1.
fn money(amount: f64) -> String {
    match amount {
        large if large >= 1.0 => format!("{large:.2}"),
        small => format!("{small:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::figures::tests::report, *};

    fn words(text: &str) -> Vec<Vec<String>> {
        let lines = text.lines();
        lines
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    }

    #[test]
    fn random_weights_and_computed_pictures_are_said() {
        let text = in_words(&report());
        assert!(
            text.contains("random weights") && text.contains("noise"),
            "{text}"
        );
        assert!(text.contains("computed as text + passes"), "{text}");
        assert!(text.contains("512 × 256, guidance 7.5"), "{text}");
        assert!(text.contains("cpu, 2 threads, avx512"), "{text}");
        assert!(!text.contains("cost"), "{text}");
    }

    #[test]
    fn seconds_of_several_pictures_at_once_are_called_so() {
        let mut several = report();
        assert!(!in_words(&several).contains("a run of"));
        several.count = 4;
        assert!(in_words(&several).contains("those of a run of 4 pictures"));
    }

    #[test]
    fn a_row_for_each_type_and_number_of_steps_ends_with_its_cost() {
        let lines = words(&in_words(&report().at_price(0.36)));
        let row = ["f32", "20", "21", "0.500", "8.50", "1.000", "10.00", "1.00"];
        assert!(
            lines.contains(&row.map(str::to_owned).to_vec()),
            "{lines:?}"
        );
        let row = [
            "bf16", "20", "21", "0.500", "3.50", "1.000", "5.00", "0.5000",
        ];
        assert!(
            lines.contains(&row.map(str::to_owned).to_vec()),
            "{lines:?}"
        );
        let row = [
            "f32", "1.00", "3.50", "0.500", "0.405", "1.000", "4.56", "GB",
        ];
        assert!(
            lines.contains(&row.map(str::to_owned).to_vec()),
            "{lines:?}"
        );
    }

    #[test]
    fn pictures_that_were_compared_end_with_their_ratio() {
        assert!(!in_words(&report()).contains("PSNR"));
        let mut compared = report();
        compared.types[1].pictures[0].against_f32 = Some(Likeness {
            mean_squared_error: 1.0,
            psnr_db: Some(48.13),
        });
        let lines = words(&in_words(&compared));
        assert!(
            lines
                .iter()
                .any(|line| line.ends_with(&["PSNR", "to", "f32"].map(str::to_owned)))
        );
        let row = |dtype: &str| {
            lines
                .iter()
                .find(|line| line.starts_with(&[dtype.into(), "20".into()]))
        };
        assert_eq!(row("f32").unwrap().last().unwrap(), "-");
        assert!(
            row("bf16")
                .unwrap()
                .ends_with(&["48.1".into(), "dB".into()])
        );
        compared.types[1].pictures[0].against_f32 = Some(Likeness {
            mean_squared_error: 0.0,
            psnr_db: None,
        });
        let lines = words(&in_words(&compared));
        let same = lines
            .iter()
            .find(|line| line.starts_with(&["bf16".into(), "20".into()]));
        assert_eq!(same.unwrap().last().unwrap(), "same");
    }

    #[test]
    fn columns_are_under_each_other() {
        let text = in_words(&report().at_price(0.36));
        let table: Vec<_> = text
            .lines()
            .skip_while(|line| !line.starts_with("type"))
            .collect();
        let widths: Vec<_> = table[..3].iter().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }
}
