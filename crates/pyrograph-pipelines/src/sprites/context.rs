//! Contexts as people write them.

use crate::PipelineError;

/// What stands for a context of zeros: no class at all. A class of this name comes before it.
pub const NO_CONTEXT: &str = "none";

/// Reads `NAME=WEIGHT[,NAME=WEIGHT…]`, or the same with colons, into a context of `names.len()` numbers; names not given weigh 0, a name alone weighs 1.
/// [`NO_CONTEXT`] is the context of zeros, with which a network was trained where its context was dropped.
///
/// ```
/// # mod pyrograph { pub use pyrograph_pipelines as pipelines; }
/// # use pyrograph::pipelines::sprites::parse_context;
/// let names = ["hero", "food"].map(str::to_owned);
/// assert_eq!(parse_context("hero=0.5,food=0.25", &names)?, [0.5, 0.25]);
/// assert_eq!(parse_context("hero:0.5", &names)?, [0.5, 0.0]);
/// assert_eq!(parse_context("food", &names)?, [0.0, 1.0]);
/// assert_eq!(parse_context("none", &names)?, [0.0, 0.0]);
/// assert!(parse_context("dragon=1", &names).is_err());
/// # Ok::<(), pyrograph::pipelines::PipelineError>(())
/// ```
///
/// # Errors
/// For a name that is not among `names` or is given twice, and for a weight that is no finite number.
pub fn parse_context(text: &str, names: &[String]) -> Result<Vec<f32>, PipelineError> {
    if text.trim() == NO_CONTEXT && !names.iter().any(|name| name == NO_CONTEXT) {
        return Ok(vec![0.0; names.len()]);
    }
    let mut context = vec![None; names.len()];
    for part in text.split(',').map(str::trim) {
        let form = || PipelineError::ContextForm { seen: text.into() };
        let colon = || match names.iter().any(|known| known == part) {
            true => None,
            false => part.rsplit_once(':'),
        };
        let (name, weight) = match part.split_once('=').or_else(colon) {
            Some((name, weight)) => (
                name.trim(),
                weight.trim().parse::<f32>().map_err(|_| form())?,
            ),
            None => (part, 1.0),
        };
        if name.is_empty() || !weight.is_finite() {
            return Err(form());
        }
        let place = names.iter().position(|known| known == name);
        let place = place.ok_or_else(|| PipelineError::ContextName {
            seen: name.into(),
            allowed: names.to_vec(),
        })?;
        if context[place].replace(weight).is_some() {
            return Err(PipelineError::ContextTwice {
                seen: text.into(),
                name: name.into(),
            });
        }
    }
    let weights = context.into_iter().map(Option::unwrap_or_default);
    Ok(weights.collect())
}

/// `each` images of every class: a context of one 1 for each, and its class's name, class after class.
pub fn class_rows(names: &[String], each: usize) -> (Vec<Vec<f32>>, Vec<String>) {
    let classes = names.len();
    (0..classes * each)
        .map(|place| {
            let class = place / each;
            let context = (0..classes)
                .map(|entry| f32::from(u8::from(entry == class)))
                .collect::<Vec<_>>();
            (context, names[class].clone())
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_named_none_comes_before_no_class() {
        let names = ["hero", "none"].map(str::to_owned);
        assert_eq!(parse_context("none", &names).expect("a name"), [0.0, 1.0]);
        assert_eq!(parse_context("none", &names[..1]).expect("zeros"), [0.0]);
        assert!(parse_context("none,hero", &names[..1]).is_err());
    }

    #[test]
    fn what_does_not_read_is_refused_with_the_names() {
        let names = ["hero", "food"].map(str::to_owned);
        for text in [
            "", "hero=", "hero=x", "hero=NaN", "hero=inf", "=1", "hero=1,",
        ] {
            assert!(parse_context(text, &names).is_err(), "{text}");
        }
        let error = parse_context("hero=1,food,hero=0", &names)
            .expect_err("twice")
            .to_string();
        assert!(error.contains("`hero` twice"), "{error}");
        let error = parse_context("Hero=1", &names)
            .expect_err("case")
            .to_string();
        assert!(
            error.contains("`Hero`") && error.contains("hero, food"),
            "{error}"
        );
    }
}
