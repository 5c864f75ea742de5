//! Pictures in memory and from files.

use std::path::PathBuf;

use pyrograph_pipelines::{
    PipelineError,
    detection::{FileResult, FoundImage, check_batch, draw_found},
};
use pyrograph_vision::{DetectOptions, VisionError, write_png};

use crate::common::*;

/// What each of the files gives, and in which order.
fn detect_files(paths: &[PathBuf], batch: usize) -> Vec<(usize, Result<FoundImage, VisionError>)> {
    let mut results = Vec::new();
    let each = &mut |place, result: FileResult| {
        results.push((place, result.map(|(_, found)| found)));
        Ok::<(), PipelineError>(())
    };
    let done = pipeline().detect_files(paths, &options(), batch, each);
    done.expect("legal");
    results
}

#[test]
fn boxes_are_in_pixels_of_pictures_of_unequal_sizes() {
    let images = [picture(640, 480), picture(40, 90), picture(300, 300)];
    let found = pipeline().detect(&images, &options()).expect("legal");
    for (image, found) in images.iter().zip(&found) {
        assert_eq!((found.width, found.height), image.dimensions());
        assert_eq!((found.detections.len(), &found.image), (8, &None));
        assert!(found.detections.is_sorted_by(|a, b| a.score >= b.score));
        for object in &found.detections {
            let [x1, y1, x2, y2] = object.corners;
            assert!(0.0 <= x1 && x1 <= x2 && x2 <= image.width() as f32);
            assert!(0.0 <= y1 && y1 <= y2 && y2 <= image.height() as f32);
            assert_eq!(object.label, card().classes[object.class]);
        }
        let counted: usize = found.counts().iter().map(|(_, count)| count).sum();
        assert_eq!(counted, 8);
        assert_ne!(&draw_found(image, found), image);
    }
    // In pixels, not in shares of the sides.
    let right = |found: &FoundImage| {
        found
            .detections
            .iter()
            .map(|o| o.corners[2])
            .fold(0.0, f32::max)
    };
    assert!(right(&found[0]) > 40.0);
}

#[test]
fn what_is_found_is_read_back_from_json_as_it_was() {
    let found = pipeline().detect(&[picture(64, 48)], &options());
    let mut found = found.expect("legal").remove(0);
    found.image = Some("a/b.png".into());
    let text = serde_json::to_string(&found).expect("writes");
    assert_eq!(
        serde_json::from_str::<FoundImage>(&text).expect("reads"),
        found
    );
    let value: serde_json::Value = serde_json::from_str(&text).expect("reads");
    assert_eq!(
        (&value["image"], &value["width"]),
        (&"a/b.png".into(), &64.into())
    );
    let first = &value["detections"][0];
    assert!(first["class"].is_u64() && first["label"].is_string() && first["score"].is_f64());
    assert_eq!(first["box"].as_array().expect("corners").len(), 4);
    found.image = None;
    assert!(
        !serde_json::to_string(&found)
            .expect("writes")
            .contains("image")
    );
}

#[test]
fn files_give_the_same_in_every_batch_and_a_broken_one_holds_up_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths: Vec<_> = (0..5)
        .map(|place| {
            let path = folder.path().join(format!("{place}.png"));
            match place {
                2 => std::fs::write(&path, "no image").expect("writable"),
                _ => write_png(&path, &picture(50 + 30 * place, 60)).expect("writable"),
            }
            path
        })
        .collect();
    let alone = detect_files(&paths, 1);
    for batch in [2, 3, 256] {
        let together = detect_files(&paths, batch);
        for (place, (alone, together)) in alone.iter().zip(&together).enumerate() {
            assert_eq!([alone.0, together.0], [place; 2]);
            let (Ok(alone), Ok(together)) = (&alone.1, &together.1) else {
                assert_eq!(place, 2);
                for result in [&alone.1, &together.1] {
                    let error = result.as_ref().expect_err("no image").to_string();
                    assert!(error.contains("2.png"), "{error}");
                }
                continue;
            };
            let named = Some(paths[place].display().to_string());
            assert_eq!([&alone.image, &together.image], [&named; 2]);
            assert_eq!(alone.detections.len(), together.detections.len());
            for (a, b) in alone.detections.iter().zip(&together.detections) {
                assert_eq!(a.class, b.class);
                let corners = a.corners.iter().zip(&b.corners);
                assert!(corners.into_iter().all(|(a, b)| (a - b).abs() < 0.05));
            }
        }
    }
    assert!(detect_files(&[], 4).is_empty());
}

#[test]
fn what_the_caller_refuses_ends_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.png");
    write_png(&path, &picture(30, 30)).expect("writable");
    let mut seen = 0;
    let each = &mut |_, _| {
        seen += 1;
        Err(PipelineError::Stopped)
    };
    let stopped = pipeline().detect_files(&[path.clone(), path], &options(), 2, each);
    assert!(matches!(stopped, Err(PipelineError::Stopped)));
    assert_eq!(seen, 1);
}

#[test]
fn numbers_that_are_not_allowed_are_refused_before_a_file_is_read() {
    let missing = [PathBuf::from("missing.png")];
    let detect = |batch, options: &DetectOptions| {
        let each = &mut |_, _| Ok::<(), PipelineError>(());
        let done = pipeline().detect_files(&missing, options, batch, each);
        done.expect_err("refused").to_string()
    };
    for batch in [0, 257] {
        let message = detect(batch, &options());
        assert!(message.contains(&format!("batch is {batch}, but must be 1 to 256")));
    }
    assert!(check_batch(256).is_ok());
    for (text, wrong) in [
        (
            "1.5",
            DetectOptions {
                score_threshold: 1.5,
                ..options()
            },
        ),
        (
            "NaN",
            DetectOptions {
                iou_threshold: f32::NAN,
                ..options()
            },
        ),
        (
            "kept",
            DetectOptions {
                keep: 0,
                ..options()
            },
        ),
    ] {
        let message = detect(1, &wrong);
        assert!(message.contains(text), "{message}");
    }
}
