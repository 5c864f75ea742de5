//! TIFF files as Pillow reads them.

use std::collections::BTreeMap;
use std::path::Path;

use pyrograph_vision::{Exif, VisionError, check_image_file, read_image};
use serde_json::Value;

#[test]
fn tiff_files_of_many_kinds_are_read_as_pillow_reads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiff");
    let text = std::fs::read_to_string(folder.join("reference.json")).unwrap();
    let reference: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(reference.len(), 11);
    for (name, expected) in reference {
        let path = folder.join(format!("{name}.tif"));
        let image = read_image(&path).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let (width, height) = image.dimensions();
        assert_eq!(expected["size"], Value::from(vec![width, height]), "{name}");
        let header = check_image_file(&path).unwrap();
        assert_eq!(header.size(Exif::Upright), (width, height), "{name}");
        let bytes = expected["bytes"].as_array().unwrap();
        assert_eq!(bytes.len(), image.as_raw().len());
        for (place, (seen, expected)) in image.as_raw().iter().zip(bytes).enumerate() {
            let difference = i64::from(*seen) - expected.as_i64().unwrap();
            // Roundings of 16 bits, of alpha and of the inks of CMYK.
            assert!(
                difference.abs() <= 1,
                "{name}, byte {place}: {seen}, {expected}"
            );
        }
    }
}

#[test]
fn a_palette_which_the_decoder_has_not_is_refused_by_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiff");
    let error = read_image(folder.join("palette.tif")).unwrap_err();
    assert!(matches!(error, VisionError::Decode { .. }), "{error:?}");
    assert!(error.to_string().contains("palette.tif"), "{error}");
}
