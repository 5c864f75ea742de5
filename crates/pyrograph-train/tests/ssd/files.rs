//! Data in files, as users have them.

use std::{fs, path::Path};

use pyrograph_data::detection::{DetectionFormat, DetectionOptions};
use pyrograph_train::{
    DataFingerprint,
    ssd::{DetectionSource, SsdRun, SsdTraining, best_weights},
};
use pyrograph_vision::write_png;

use super::common::{Run, scenes, tiny};

/// The scenes as a folder of Pascal VOC: four to train on, three to judge by.
fn write_voc(root: &Path) {
    let scenes = scenes();
    for folder in ["Annotations", "JPEGImages", "ImageSets/Main"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    let mut ids = Vec::new();
    for (place, sample) in scenes.samples().iter().enumerate() {
        let id = format!("scene{place}");
        let image = scenes.image(place).expect("drawn");
        write_png(root.join(format!("JPEGImages/{id}.png")), &image).expect("written");
        let objects: String = sample
            .objects
            .iter()
            .map(|object| {
                let b = object.bbox;
                format!(
                    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
                    scenes.class_names()[object.class], b.x1, b.y1, b.x2, b.y2
                )
            })
            .collect();
        let text = format!(
            "<annotation><filename>{id}.png</filename><size><width>48</width><height>48</height><depth>3</depth></size>{objects}</annotation>"
        );
        fs::write(root.join(format!("Annotations/{id}.xml")), text).expect("written");
        ids.push(id);
    }
    fs::write(root.join("ImageSets/Main/train.txt"), ids[..4].join("\n")).expect("written");
    fs::write(root.join("ImageSets/Main/val.txt"), ids[4..].join("\n")).expect("written");
}

fn source(root: &Path) -> DetectionSource {
    DetectionSource::Files {
        path: root.into(),
        format: DetectionFormat::Voc,
        split: "train".into(),
        options: DetectionOptions {
            classes: Some(scenes().class_names().to_vec()),
            ..DetectionOptions::default()
        },
    }
}

#[test]
fn a_run_of_files_has_its_parts_and_trains() {
    let folder = tempfile::tempdir().expect("a folder");
    write_voc(folder.path());
    let data = source(folder.path());
    let set = data.load().expect("reads");
    let run = SsdRun {
        fingerprint: DataFingerprint::of(&set),
        validation: Some(data.part("val").expect("a part")),
        validation_fingerprint: None,
        held_out: 0.0,
        images: None,
        classes: set.class_names().to_vec(),
        training: tiny(1),
        data,
    };
    let text = serde_json::to_string(&run).expect("writes");
    let run: SsdRun = serde_json::from_str(&text).expect("reads back");
    let (training, validation) = run.load_data().expect("parts");
    let validation = validation.expect("val");
    assert_eq!((training.len(), validation.len()), (4, 3));
    let trained = Run::new(&run.training)
        .train_on(&run.training, &training, Some(&validation), &mut ())
        .expect("trained");
    assert!(trained.best.is_some());

    let held_out = SsdRun {
        validation: None,
        held_out: 0.25,
        ..run
    };
    let (training, validation) = held_out.load_data().expect("a share");
    assert_eq!(
        (training.len(), validation.expect("held out").len()),
        (3, 1)
    );
}

#[test]
fn an_image_that_is_missing_or_none_ends_the_run_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    write_voc(folder.path());
    let set = source(folder.path()).load().expect("reads");
    let config = SsdTraining {
        batch_size: 4,
        ..tiny(1)
    };
    let image = folder.path().join("JPEGImages/scene2.png");
    fs::write(&image, b"no image").expect("written");
    let error = Run::new(&config)
        .train_on(&config, &set, None, &mut ())
        .expect_err("no image");
    assert!(error.to_string().contains("scene2.png"), "{error}");
    fs::remove_file(&image).expect("removed");
    let error = Run::new(&config)
        .train_on(&config, &set, None, &mut ())
        .expect_err("missing");
    assert!(error.to_string().contains("scene2.png"), "{error}");
}

/// Hours of training are not lost to a file: what was trained is saved, and goes on once the file is mended.
#[test]
fn an_image_that_fails_in_the_middle_leaves_a_checkpoint_of_what_was_trained() {
    let folder = tempfile::tempdir().expect("a folder");
    write_voc(folder.path());
    let source = source(folder.path());
    let set = source.load().expect("reads");
    let validation = source.part("val").expect("a part").load().expect("reads");
    let image = folder.path().join("JPEGImages/scene5.png");
    let whole = fs::read(&image).expect("there");
    let config = tiny(3);
    let run = Run::new(&config);

    fs::write(&image, b"no image").expect("written");
    let error = run
        .train_on(&config, &set, Some(&validation), &mut ())
        .expect_err("the last step judges");
    assert!(error.to_string().contains("scene5.png"), "{error}");
    assert_eq!(run.log().len(), 3);
    assert!(
        best_weights(&run.folder).is_ok(),
        "all three steps are saved"
    );

    fs::write(&image, whole).expect("written");
    let longer = SsdTraining {
        steps: Some(4),
        ..config
    };
    let trained = run
        .train_on(&longer, &set, Some(&validation), &mut ())
        .expect("mended");
    assert_eq!(trained.steps, 4);
    assert!(trained.best.is_some());
}
