//! Values as text, from the command line, the environment or a file.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use pyrograph_backend::DeviceSpec;
use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::LoraFile;

use crate::tasks::TaskKind;

/// The values that a setting allows, where a text is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be {0}")]
pub struct Allowed(pub &'static str);

/// The names that DJL Serving and the Hugging Face Hub have for tasks.
const OTHER_NAMES: [(&str, TaskKind); 6] = [
    ("text-to-image", TaskKind::Txt2img),
    ("image-to-image", TaskKind::Txt2img),
    ("inpainting", TaskKind::Txt2img),
    ("unconditional-image-generation", TaskKind::Sprites),
    ("anomaly-detection", TaskKind::Anomaly),
    ("object-detection", TaskKind::Detect),
];
/// The longest time that a setting takes: a week.
const MAX_SECONDS: f64 = 604_800.0;
/// The largest count that a setting takes.
const MAX_COUNT: usize = 1_000_000;
/// The largest side of an image.
const MAX_SIDE: usize = 65_536;

/// A task by its name, or by the name that DJL Serving and the Hugging Face Hub have for it.
///
/// # Errors
/// The names allowed.
pub fn parse_task(text: &str) -> Result<TaskKind, Allowed> {
    let name = text.to_ascii_lowercase().replace('_', "-");
    let own = TaskKind::ALL.map(|kind| (kind.name(), kind));
    let mut names = own.iter().chain(&OTHER_NAMES);
    let found = names.find(|(known, _)| *known == name);
    found.map(|(_, kind)| *kind).ok_or(Allowed(
        "txt2img (text-to-image), sprites, anomaly or detect (object-detection)",
    ))
}

/// A number of things, at least one.
///
/// # Errors
/// The numbers allowed.
pub fn parse_count(text: &str) -> Result<usize, Allowed> {
    let count = text.trim().parse().ok();
    count
        .filter(|count| (1..=MAX_COUNT).contains(count))
        .ok_or(Allowed("a whole number from 1 to 1000000"))
}

/// Bytes, with a unit or without: `6291456`, `512k`, `6MiB`, `1G`. All units are powers of 1024.
///
/// # Errors
/// The texts allowed.
pub fn parse_bytes(text: &str) -> Result<usize, Allowed> {
    let allowed = Allowed("a number of bytes from 1 to 1 TiB, such as 6291456, 512k, 6MiB or 1G");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(allowed),
    };
    let number: u64 = number.parse().map_err(|_| allowed)?;
    let bytes = number
        .checked_mul(1 << shift)
        .filter(|bytes| (1..=1 << 40).contains(bytes));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(allowed)
}

/// Pixels: a number, or WIDTHxHEIGHT.
///
/// # Errors
/// The texts allowed.
pub fn parse_pixels(text: &str) -> Result<u64, Allowed> {
    if let Ok([width, height]) = parse_size(text) {
        return Ok(width as u64 * height as u64);
    }
    let pixels = text.trim().parse().ok();
    pixels
        .filter(|pixels| (1..=1_u64 << 32).contains(pixels))
        .ok_or(Allowed(
            "a number of pixels from 1 to 4294967296, or WIDTHxHEIGHT",
        ))
}

/// A size as WIDTHxHEIGHT.
///
/// # Errors
/// The texts allowed.
pub fn parse_size(text: &str) -> Result<[usize; 2], Allowed> {
    let side = |text: &str| {
        let side = text.trim().parse().ok();
        side.filter(|side| (1..=MAX_SIDE).contains(side))
    };
    let sides = text.split_once(['x', 'X', '×']);
    sides
        .and_then(|(width, height)| Some([side(width)?, side(height)?]))
        .ok_or(Allowed("WIDTHxHEIGHT in pixels, such as 512x512"))
}

/// Seconds above 0, fractions allowed.
///
/// # Errors
/// The numbers allowed.
pub fn parse_seconds(text: &str) -> Result<Duration, Allowed> {
    let seconds: Option<f64> = text.trim().parse().ok();
    seconds
        .filter(|seconds| *seconds >= 0.001 && *seconds <= MAX_SECONDS)
        .map(Duration::from_secs_f64)
        .ok_or(Allowed("a number of seconds from 0.001 to 604800"))
}

/// Seconds from 0, fractions allowed.
///
/// # Errors
/// The numbers allowed.
pub fn parse_grace(text: &str) -> Result<Duration, Allowed> {
    let seconds: Option<f64> = text.trim().parse().ok();
    seconds
        .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or(Allowed("a number of seconds from 0 to 604800"))
}

/// Milliseconds from 0.
///
/// # Errors
/// The numbers allowed.
pub fn parse_milliseconds(text: &str) -> Result<Duration, Allowed> {
    let milliseconds = text.trim().parse().ok();
    milliseconds
        .filter(|milliseconds| *milliseconds <= 600_000)
        .map(Duration::from_millis)
        .ok_or(Allowed("a whole number of milliseconds from 0 to 600000"))
}

/// A type of weights by pyrograph's name or by those of PyTorch and DJL Serving.
///
/// # Errors
/// The names allowed.
pub fn parse_dtype(text: &str) -> Result<Precision, Allowed> {
    match text.trim().to_ascii_lowercase().as_str() {
        "auto" | "stored" => Ok(Precision::AsStored),
        "fp32" | "f32" | "float32" | "float" => Ok(Precision::F32),
        "bf16" | "bfloat16" => Ok(Precision::Bf16),
        "fp16" | "f16" | "float16" | "half" => Ok(Precision::F16),
        "int8" | "i8" => Ok(Precision::Int8),
        "int8-activations" | "w8a8" => Ok(Precision::Int8Activations),
        _ => Err(Allowed(
            "auto (as the files have it), fp32, bf16, fp16, int8 or int8-activations",
        )),
    }
}

/// A device.
///
/// # Errors
/// The names allowed.
pub fn parse_device(text: &str) -> Result<DeviceSpec, Allowed> {
    let device = text.trim().parse();
    device.map_err(|_| Allowed("auto, cpu, ndarray, wgpu, wgpu:N, cuda or cuda:N"))
}

/// An address to listen on.
///
/// # Errors
/// The texts allowed.
pub fn parse_host(text: &str) -> Result<IpAddr, Allowed> {
    match text.trim() {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        address => address.parse().map_err(|_| {
            Allowed("an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1")
        }),
    }
}

/// A port.
///
/// # Errors
/// The numbers allowed.
pub fn parse_port(text: &str) -> Result<u16, Allowed> {
    let port = text.trim().parse();
    port.map_err(|_| Allowed("a port from 0 (any free one) to 65535"))
}

/// A LoRA file, and its scale after a colon; 1 without.
///
/// # Errors
/// The scales allowed.
pub fn parse_lora(text: &str) -> Result<LoraFile, Allowed> {
    let split = text
        .rsplit_once(':')
        .and_then(|(path, scale)| Some((path, scale.parse::<f64>().ok()?)));
    match split {
        Some((_, scale)) if !scale.is_finite() => {
            Err(Allowed("FILE or FILE:SCALE with a finite scale"))
        }
        Some((path, scale)) if !path.is_empty() => Ok(LoraFile {
            path: path.into(),
            scale,
        }),
        _ => Ok(LoraFile {
            path: text.into(),
            scale: 1.0,
        }),
    }
}

/// A model on the command line: DIR or NAME=DIR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    /// The name; none where the path stands alone.
    pub name: Option<String>,
    /// The folder or file.
    pub path: PathBuf,
}

/// A model as DIR or NAME=DIR. A text whose part before `=` is no name is a path.
///
/// # Errors
/// The texts allowed.
pub fn parse_model(text: &str) -> Result<ModelChoice, Allowed> {
    let choice = match text.split_once('=') {
        Some((name, path)) if is_model_name(name) => ModelChoice {
            name: Some(name.into()),
            path: path.into(),
        },
        _ => ModelChoice {
            name: None,
            path: text.into(),
        },
    };
    match choice.path.as_os_str().is_empty() {
        true => Err(Allowed("DIR, FILE or NAME=DIR")),
        false => Ok(choice),
    }
}

/// Whether a text can name a model in a path: letters, digits, `-`, `_` and `.`, at most 64, the first a letter or digit.
pub fn is_model_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(known)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tasks_have_the_names_of_others_too() {
        assert_eq!(parse_task("text-to-image"), Ok(TaskKind::Txt2img));
        assert_eq!(parse_task("Text_To_Image"), Ok(TaskKind::Txt2img));
        assert_eq!(parse_task("object-detection"), Ok(TaskKind::Detect));
        for kind in TaskKind::ALL {
            assert_eq!(parse_task(kind.name()), Ok(kind));
        }
        assert!(parse_task("text-generation").is_err());
    }

    #[test]
    fn bytes_carry_units() {
        for (text, bytes) in [
            ("6291456", 6 << 20),
            ("6MiB", 6 << 20),
            ("6 MB", 6 << 20),
            ("512k", 512 << 10),
            ("1G", 1 << 30),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "1.5M", "6 parsecs", "99999999999G", "M"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_times_outside_their_range_are_refused() {
        assert_eq!(parse_size("512x768"), Ok([512, 768]));
        assert_eq!(parse_pixels("512x768"), Ok(393_216));
        assert_eq!(parse_pixels("1048576"), Ok(1_048_576));
        for text in ["512", "0x1", "-1x2", "1x2x3", "70000x1"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in ["0", "-1", "nan", "inf", "1e9", "soon"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
        assert_eq!(parse_grace("0"), Ok(Duration::ZERO));
        assert_eq!(parse_milliseconds("100"), Ok(Duration::from_millis(100)));
        assert!(parse_milliseconds("-1").is_err() && parse_milliseconds("1.5").is_err());
        assert!(parse_count("0").is_err() && parse_count("2").is_ok());
    }

    #[test]
    fn types_of_weights_have_the_names_of_others_too() {
        assert_eq!(parse_dtype("fp16"), Ok(Precision::F16));
        assert_eq!(parse_dtype("auto"), Ok(Precision::AsStored));
        assert_eq!(parse_dtype("int8"), Ok(Precision::Int8));
        let both = Ok(Precision::Int8Activations);
        assert_eq!(parse_dtype("int8-activations"), both);
        let message = parse_dtype("fp8").unwrap_err().to_string();
        assert!(
            message.contains("fp16, int8 or int8-activations"),
            "{message}"
        );
    }

    #[test]
    fn a_model_may_have_a_name() {
        let read = |text: &str| parse_model(text).map(|choice| (choice.name, choice.path));
        assert_eq!(read("sd=a/b"), Ok((Some("sd".into()), "a/b".into())));
        assert_eq!(read("a/b"), Ok((None, "a/b".into())));
        assert_eq!(read("./a=b"), Ok((None, "./a=b".into())));
        assert!(read("sd=").is_err() && read("").is_err());
        assert!(!is_model_name("..") && !is_model_name("a/b") && !is_model_name(""));
    }

    #[test]
    fn a_host_is_an_address() {
        assert_eq!(parse_host("0.0.0.0"), Ok(IpAddr::from([0, 0, 0, 0])));
        assert_eq!(parse_host("localhost"), Ok(IpAddr::from([127, 0, 0, 1])));
        assert!(parse_host("example.org").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (parse_bytes(&text), parse_pixels(&text), parse_size(&text), parse_seconds(&text));
            let _ = (parse_lora(&text), parse_model(&text), parse_task(&text), parse_host(&text));
            let _ = (parse_grace(&text), parse_milliseconds(&text), parse_device(&text));
        }
    }
}
