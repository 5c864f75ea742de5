//! A recipe of a sweep, checked before anything is trained.

use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use toml::{Table, Value};

use super::trainer::Trainer;

const NAME: &str = "name";
const SEEDS: &str = "seeds";
const SEED: &str = "seed";
const TEACHER: &str = "teacher";
const START: &str = "start";
const EQUAL_TIME: &str = "equal-time-with";
const STEPS: &str = "steps";
const DATA: &str = "data";
const SCENES: &str = "scenes";
/// When a training ends: a run that says one of them has none of the base's.
const LIMITS: [&str; 3] = [STEPS, "epochs", "max-minutes"];
/// The images: a run that says one of them has none of the base's.
const IMAGES: [&str; 2] = [DATA, SCENES];

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    base: Table,
    #[serde(default)]
    run: Vec<Table>,
}

/// The runs in their order.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) runs: Vec<RecipeRun>,
}

/// The trainings of one name, which differ in their seed.
#[derive(Debug)]
pub(super) struct RecipeRun {
    pub(super) name: String,
    pub(super) seeds: Vec<u64>,
    /// The place of the run that it learns from.
    pub(super) teacher: Option<usize>,
    /// The place of the run whose network it begins from.
    pub(super) start: Option<usize>,
    /// The place of the run that its steps take as long as.
    pub(super) equal_time_with: Option<usize>,
    /// The options over those of the base, without the seed; other runs as the recipe names them.
    options: Table,
}

impl Recipe {
    /// The recipe that `text` is, on `data` in place of those of the base.
    ///
    /// # Errors
    /// Names the run and its mistake.
    pub(super) fn read(text: &str, data: Option<&Path>) -> anyhow::Result<Self> {
        let File { mut base, run } = toml::from_str(text)?;
        for key in [NAME, SEED, TEACHER, EQUAL_TIME] {
            if base.contains_key(key) {
                bail!("[base] has `{key}`, which belongs to a [[run]]");
            }
        }
        if let Some(data) = data {
            base.remove(SCENES);
            base.insert(DATA.into(), data.display().to_string().into());
        }
        if run.is_empty() {
            bail!("there is no [[run]]: give one at least");
        }
        let mut runs: Vec<RecipeRun> = Vec::with_capacity(run.len());
        let names: Vec<Option<String>> = run
            .iter()
            .map(|table| Some(table.get(NAME)?.as_str()?.to_owned()))
            .collect();
        for (place, table) in run.into_iter().enumerate() {
            let Some(name) = &names[place] else {
                bail!("the [[run]] number {} has no `name`", place + 1);
            };
            let earlier = names[..place].iter().flatten();
            let run = read_run(name, table, &base, earlier, &names)
                .with_context(|| format!("run `{name}`"))?;
            runs.push(run);
        }
        let recipe = Self { runs };
        recipe.check_times()?;
        Ok(recipe)
    }

    /// A run of equal time needs the steps of the other one.
    fn check_times(&self) -> anyhow::Result<()> {
        for run in &self.runs {
            let Some(other) = run.equal_time_with.map(|place| &self.runs[place]) else {
                continue;
            };
            if other.equal_time_with.is_none() && other.steps().is_none() {
                bail!(
                    "run `{}`: `{EQUAL_TIME}` needs a run with `{STEPS}`, and `{}` has none",
                    run.name,
                    other.name
                );
            }
        }
        Ok(())
    }

    /// Tries the options of every run.
    ///
    /// # Errors
    /// Names the first run with an unknown option or a value that is not allowed.
    pub(super) fn check(&self, trainer: &impl Trainer) -> anyhow::Result<()> {
        for (place, run) in self.runs.iter().enumerate() {
            let some_steps = run.equal_time_with.map(|_| 1);
            let mut table = self.asked(place, run.seeds[0], some_steps);
            table.remove(EQUAL_TIME);
            if run.start.is_some() {
                // Its file may not be there yet.
                table.remove(START);
            }
            let name = || format!("run `{}`", run.name);
            trainer.check(&table).with_context(name)?;
        }
        Ok(())
    }

    /// The place of the run and the seed of every training, in their order.
    pub(super) fn trainings(&self) -> impl Iterator<Item = (usize, u64)> {
        let runs = self.runs.iter().enumerate();
        runs.flat_map(|(place, run)| run.seeds.iter().map(move |&seed| (place, seed)))
    }

    /// The options of a training that the recipe asks for, with its seed, and the steps of a
    /// run of equal time.
    pub(super) fn asked(&self, place: usize, seed: u64, steps: Option<u64>) -> Table {
        let run = &self.runs[place];
        let mut table = run.options.clone();
        table.insert(SEED.into(), number(seed));
        if let Some(other) = run.equal_time_with {
            table.insert(EQUAL_TIME.into(), self.runs[other].name.clone().into());
        }
        if let Some(steps) = steps {
            table.insert(STEPS.into(), number(steps));
        }
        table
    }

    /// The options for the trainer: those asked for, with the folders of the teacher and of the run
    /// that it begins from in the sweep's folder `out`.
    pub(super) fn options(&self, place: usize, seed: u64, asked: &Table, out: &Path) -> Table {
        let mut table = asked.clone();
        table.remove(EQUAL_TIME);
        let run = &self.runs[place];
        for (key, other) in [(TEACHER, run.teacher), (START, run.start)] {
            let Some(other) = other.map(|place| &self.runs[place]) else {
                continue;
            };
            let has_seed = other.seeds.contains(&seed);
            let seed = if has_seed { seed } else { other.seeds[0] };
            let folder = out.join(folder_of(&other.name, seed));
            table.insert(key.into(), folder.display().to_string().into());
        }
        table
    }
}

impl RecipeRun {
    /// Its number of steps, where the recipe says it.
    pub(super) fn steps(&self) -> Option<u64> {
        let steps = self.options.get(STEPS)?.as_integer()?;
        u64::try_from(steps).ok()
    }
}

/// The folder of a training within the sweep's.
pub(super) fn folder_of(name: &str, seed: u64) -> String {
    format!("{name}/seed-{seed}")
}

/// Checked when it was read: no seed and no number of steps is beyond TOML's integers.
fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn read_run<'a>(
    name: &str,
    mut table: Table,
    base: &Table,
    mut earlier: impl Iterator<Item = &'a String>,
    all: &[Option<String>],
) -> anyhow::Result<RecipeRun> {
    check_name(name)?;
    // Some file systems do not tell cases apart.
    let same = |other: &&String| other.to_lowercase() == name.to_lowercase();
    if let Some(other) = earlier.find(same) {
        bail!("the name is taken by the run `{other}`: give another one");
    }
    if table.contains_key(SEED) {
        bail!("`{SEED}` is given: give `{SEEDS}`, a list");
    }
    table.remove(NAME);
    let seeds = match table.remove(SEEDS).or_else(|| base.get(SEEDS).cloned()) {
        Some(seeds) => read_seeds(&seeds)?,
        None => vec![0],
    };
    let place_of = |key: &str| reference(key, &table, name, all);
    let teacher = place_of(TEACHER)?;
    let start = place_of(START)?;
    let equal_time_with = place_of(EQUAL_TIME)?;
    for (key, place) in [(TEACHER, teacher), (START, start)] {
        if let (Some(Value::String(path)), None) = (table.get(key), place)
            && !Path::new(path).exists()
        {
            bail!("`{key}` is `{path}`, which is neither a run of the recipe nor a path");
        }
    }
    if let (Some(other), None) = (table.get(EQUAL_TIME), equal_time_with) {
        bail!("`{EQUAL_TIME}` is {other}, which is no run of the recipe");
    }
    if let Some(limit) = LIMITS.iter().find(|key| table.contains_key(**key))
        && equal_time_with.is_some()
    {
        bail!("`{limit}` is given beside `{EQUAL_TIME}`, which says the steps: give one of them");
    }
    Ok(RecipeRun {
        name: name.into(),
        seeds,
        teacher,
        start,
        equal_time_with,
        options: over_base(table, base),
    })
}

/// The place of the run that `key` of the run `name` names; none where it names no run.
fn reference(
    key: &str,
    table: &Table,
    name: &str,
    all: &[Option<String>],
) -> anyhow::Result<Option<usize>> {
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let Some(other) = value.as_str() else {
        bail!("`{key}` is {value}, but must be a name");
    };
    let place = |wanted: &str| all.iter().flatten().position(|known| known == wanted);
    match (place(other), place(name)) {
        (Some(theirs), Some(own)) if theirs >= own => {
            bail!("`{key}` is `{other}`, which does not come before it: move `{other}` up")
        }
        (theirs, _) => Ok(theirs),
    }
}

/// The options of a run over those of the base.
fn over_base(mut run: Table, base: &Table) -> Table {
    let of_time = run.remove(EQUAL_TIME).is_some();
    let mut table = base.clone();
    table.remove(SEEDS);
    for group in [&LIMITS[..], &IMAGES[..]] {
        let sets_group = group.iter().any(|key| run.contains_key(*key));
        if sets_group || (of_time && group == LIMITS) {
            for key in group {
                table.remove(*key);
            }
        }
    }
    table.extend(run);
    table
}

fn read_seeds(value: &Value) -> anyhow::Result<Vec<u64>> {
    let allowed = "a list of different whole numbers of 0 or more, one at least";
    let refused = || format!("`{SEEDS}` is {value}, but must be {allowed}");
    let list = value.as_array().with_context(refused)?;
    let seed = |seed: &Value| u64::try_from(seed.as_integer()?).ok();
    let seeds: Option<Vec<u64>> = list.iter().map(seed).collect();
    let seeds = seeds
        .filter(|seeds| !seeds.is_empty())
        .with_context(refused)?;
    let twice = |(place, seed): (usize, &u64)| seeds[..place].contains(seed);
    if seeds.iter().enumerate().any(twice) {
        bail!(refused());
    }
    Ok(seeds)
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.chars().all(is_plain) && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
    {
        return Ok(());
    }
    bail!(
        "the name is that of a folder: letters and digits without accents, `-`, `_` and `.`, a letter or digit first"
    )
}
