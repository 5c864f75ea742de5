//! Which images are known to be anomalous.

use anyhow::bail;
use pyrograph::data::{LabelledImages, LabelledReading};

/// What stands for no class among those that are normal.
const NONE: &str = "none";
/// Words in the names of classes that are anomalous whatever else there is.
const ANOMALOUS: [&str; 18] = [
    "abnormal",
    "anomalous",
    "anomaly",
    "anomalies",
    "bad",
    "broken",
    "crack",
    "cracked",
    "defect",
    "defective",
    "defects",
    "def",
    "fail",
    "faulty",
    "ko",
    "ng",
    "nok",
    "scratch",
];

/// What is known of images.
pub(super) struct Known {
    /// Whether each is anomalous; none where nothing is known.
    pub(super) anomalous: Option<Vec<bool>>,
    /// What is to be said of it.
    pub(super) remark: Option<String>,
}

impl Known {
    /// By the labels of the images, `asked` for classes that are normal, and those that the model was trained on.
    pub(super) fn new(
        reading: &LabelledReading,
        asked: &[String],
        trained: &[String],
    ) -> anyhow::Result<Self> {
        let set = &reading.images;
        let nothing = |remark: &str| {
            Ok(Self {
                anomalous: None,
                remark: Some(remark.into()),
            })
        };
        let names = set.class_names();
        if asked == [NONE] && !names.iter().any(|name| name == NONE) {
            return Ok(Self {
                anomalous: Some(vec![true; set.len()]),
                remark: None,
            });
        }
        if !reading.has_labels {
            if !asked.is_empty() {
                bail!(
                    "--normal names classes, but the data have no labels: allowed is none, if all are \
                     anomalous"
                );
            }
            return nothing("the data have no labels: scores are not judged");
        }
        if let Some(unknown) = asked.iter().find(|name| !names.contains(name)) {
            bail!(
                "--normal names the class `{unknown}`: the data have {}",
                names.join(", ")
            );
        }
        let mut normal = if asked.is_empty() { trained } else { asked };
        let mut remark = None;
        let of_data: Vec<String> = set
            .normal_class()
            .map(|class| names[class].clone())
            .into_iter()
            .collect();
        if asked.is_empty()
            && !names.iter().any(|name| normal.contains(name))
            && !of_data.is_empty()
        {
            remark = Some(format!(
                "the class {} is taken for normal, which the model was trained on as {}; say --normal otherwise",
                of_data.join(", "),
                normal.join(", ")
            ));
            normal = &of_data;
        }
        let is_normal = |name: &String| normal.contains(name);
        if !names.iter().any(is_normal) {
            let classes = shown_classes(set);
            let [class] = classes.as_slice() else {
                let remark = Some(format!(
                    "no class of the data is among the normal ones ({}): all {} images count as anomalous; say \
                     --normal if some are normal",
                    normal.join(", "),
                    set.len()
                ));
                return Ok(Self {
                    anomalous: Some(vec![true; set.len()]),
                    remark,
                });
            };
            let lower = class.to_lowercase();
            let mut words = lower.split(|c: char| !c.is_alphanumeric());
            if !words.any(|word| ANOMALOUS.contains(&word)) {
                return nothing(&format!(
                    "the one class {class} tells neither normal nor anomalous ({} is normal): scores are not judged; \
                     say --normal {class} or --normal none",
                    normal.join(", ")
                ));
            }
        }
        let labels = set.labels().iter();
        Ok(Self {
            anomalous: Some(labels.map(|&label| !is_normal(&names[label])).collect()),
            remark,
        })
    }
}

/// The classes that have images.
fn shown_classes(set: &LabelledImages) -> Vec<&str> {
    let counted = set.class_names().iter().zip(set.class_counts());
    counted
        .filter(|(_, count)| *count > 0)
        .map(|(name, _)| name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(classes: &[&str]) -> LabelledReading {
        let labels = (0..classes.len()).collect();
        let names = classes.iter().map(|&name| name.to_owned()).collect();
        let set = LabelledImages::new(vec![0; classes.len()], 1, 1, 1, labels, names);
        LabelledReading::of(set.expect("fits"))
    }

    fn known(classes: &[&str], asked: &[&str]) -> (Option<Vec<bool>>, String) {
        let asked: Vec<String> = asked.iter().map(|&name| name.into()).collect();
        let known = Known::new(&reading(classes), &asked, &["good".into()]);
        let known = known.expect("legal");
        (known.anomalous, known.remark.unwrap_or_default())
    }

    #[test]
    fn classes_of_the_training_are_normal_and_all_others_anomalous() {
        assert_eq!(known(&["good", "hole"], &[]).0, Some(vec![false, true]));
        assert_eq!(known(&["a", "b"], &["b"]).0, Some(vec![true, false]));
        let (all, remark) = known(&["bent", "hole"], &[]);
        assert_eq!(all, Some(vec![true, true]));
        assert!(remark.contains("all 2 images"), "{remark}");
        // A class that is called normal stands for one that is called good.
        let (some, remark) = known(&["normal", "hole"], &[]);
        assert_eq!(some, Some(vec![false, true]));
        assert!(remark.contains("--normal"), "{remark}");
    }

    #[test]
    fn one_class_alone_tells_something_by_its_name_only() {
        let (nothing, remark) = known(&["incoming"], &[]);
        assert_eq!(nothing, None);
        assert!(remark.contains("--normal none"), "{remark}");
        assert_eq!(known(&["broken_large"], &[]).0, Some(vec![true]));
        assert_eq!(known(&["incoming"], &["none"]).0, Some(vec![true]));
        assert_eq!(known(&["incoming"], &["incoming"]).0, Some(vec![false]));
    }

    #[test]
    fn without_labels_nothing_is_known() {
        let mut reading = reading(&["unlabelled"]);
        reading.has_labels = false;
        let known = Known::new(&reading, &[], &["good".into()]).expect("legal");
        assert!(known.anomalous.is_none() && known.remark.is_some());
        assert!(Known::new(&reading, &["x".into()], &[]).is_err());
        let none = Known::new(&reading, &[NONE.into()], &["good".into()]);
        assert_eq!(none.expect("legal").anomalous, Some(vec![true]));
    }
}
