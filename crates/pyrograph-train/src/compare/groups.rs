//! Groups of runs that differ only in their seed.

use std::{
    collections::HashSet,
    path::{self, Path, PathBuf},
};

use serde_json::Value;

use super::identity::{Identity, numbered};
use crate::{TrainError, checks::refuse, run_folder::RunFolder, ssd::SsdRun};

/// A run that is compared with others.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedRun {
    /// The run's folder.
    pub path: PathBuf,
    /// The name of the run's group; `None` takes it from the folders.
    pub name: Option<String>,
    /// The run's config, as stored in the folder.
    pub config: Value,
    /// The run's seed.
    pub seed: u64,
}

impl ComparedRun {
    /// Opens the run in the folder `path`; `name` is the name of its group.
    ///
    /// # Errors
    /// When the folder is not that of a detector's run.
    pub fn open(path: impl Into<PathBuf>, name: Option<String>) -> Result<Self, TrainError> {
        let folder = RunFolder::open(path)?;
        let run: SsdRun = folder.plan()?;
        Ok(Self {
            path: folder.path().into(),
            name,
            config: folder.config()?,
            seed: run.training.seed,
        })
    }
}

/// Runs of one config that differ only in their seed.
#[derive(Clone, Debug, PartialEq)]
pub struct RunGroup {
    /// The unique name of the group.
    pub name: String,
    /// The indices of the group's runs in the grouped list, by rising seed.
    pub runs: Vec<usize>,
    /// The seeds of the runs, rising.
    pub seeds: Vec<u64>,
    pub(super) identity: Identity,
}

/// Groups runs by their configs without the seed and the numbers that follow it, in the order of
/// their first runs.
///
/// The name of a group is the one that its runs give, or the common part of their folders: `cwd`
/// for `cwd/seed-0` and `cwd/seed-1`.
///
/// # Errors
/// When a group has a seed twice, when its runs give two names, or when two groups have the same
/// name.
pub fn group_runs(runs: &[ComparedRun]) -> Result<Vec<RunGroup>, TrainError> {
    let identities: Vec<_> = runs
        .iter()
        .map(|run| Identity::of(&run.config, run.seed))
        .collect();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for place in 0..runs.len() {
        let fits = |group: &&mut Vec<usize>| {
            let all: Vec<_> = group
                .iter()
                .chain([&place])
                .map(|&p| &identities[p])
                .collect();
            Identity::same(&all)
        };
        match members.iter_mut().find(fits) {
            Some(group) => group.push(place),
            None => members.push(vec![place]),
        }
    }
    for group in &mut members {
        group.sort_by_key(|&place| runs[place].seed);
        check_group(group, runs)?;
    }
    check_names(&members, runs, &identities)?;
    let mut taken: HashSet<String> = runs.iter().filter_map(|run| run.name.clone()).collect();
    let group = |places: Vec<usize>| RunGroup {
        name: match asked_name(&places, runs) {
            Some(name) => name.to_owned(),
            None => free_name(folder_name(&places, runs), &mut taken),
        },
        seeds: places.iter().map(|&place| runs[place].seed).collect(),
        identity: identities[places[0]].clone(),
        runs: places,
    };
    Ok(members.into_iter().map(group).collect())
}

/// Refuses a seed that a group, sorted by seed, has twice, and two names for one group.
fn check_group(group: &[usize], runs: &[ComparedRun]) -> Result<(), TrainError> {
    for pair in group.windows(2) {
        let (a, b) = (&runs[pair[0]], &runs[pair[1]]);
        if a.seed == b.seed {
            let both = format!("{} and {}", a.path.display(), b.path.display());
            let seen = format!("{} in {both}, whose configs are equal", a.seed);
            return Err(refuse(
                "a seed",
                seen,
                "in one run of a group: leave one out",
            ));
        }
    }
    let mut names = group.iter().filter_map(|&place| runs[place].name.as_ref());
    let first = names.next();
    match names.find(|name| Some(*name) != first) {
        Some(second) => {
            let seen = format!("`{}` and `{second}`", first.unwrap_or(second));
            let allowed = "one name, as the configs are equal but for the seed";
            Err(refuse("the name of a group", seen, allowed))
        }
        None => Ok(()),
    }
}

/// Refuses a name that two groups ask for.
fn check_names(
    groups: &[Vec<usize>],
    runs: &[ComparedRun],
    identities: &[Identity],
) -> Result<(), TrainError> {
    for (place, group) in groups.iter().enumerate() {
        let name = asked_name(group, runs);
        let same = |other: &&Vec<usize>| name.is_some() && asked_name(other, runs) == name;
        if let (Some(name), Some(other)) = (name, groups[..place].iter().find(same)) {
            let differs = identities[group[0]].difference(&identities[other[0]]);
            let seen = format!(
                "`{name}` for runs that differ in {}",
                differs.unwrap_or_default()
            );
            let allowed = "one config's, whose runs differ in the seed alone";
            return Err(refuse("the name of a group", seen, allowed));
        }
    }
    Ok(())
}

fn asked_name<'a>(group: &[usize], runs: &'a [ComparedRun]) -> Option<&'a str> {
    group.iter().find_map(|&place| runs[place].name.as_deref())
}

/// The common part of the folders of a group, without the seeds.
fn folder_name(group: &[usize], runs: &[ComparedRun]) -> String {
    let names: Vec<_> = group
        .iter()
        .map(|&place| without_seed(&runs[place].path, runs[place].seed))
        .collect();
    let (first, rest) = (&names[0], &names[1..]);
    let common = rest.iter().fold(first.as_str(), |common, other| {
        let same = common.char_indices().zip(other.chars());
        let end = same
            .take_while(|((_, a), b)| a == b)
            .map(|((place, letter), _)| place + letter.len_utf8())
            .last();
        &common[..end.unwrap_or(0)]
    });
    match common.trim_end_matches(['-', '_', '.']) {
        "" => first.clone(),
        common => common.to_owned(),
    }
}

/// The folder's name without the run's seed; the folder above where nothing is left.
fn without_seed(folder: &Path, seed: u64) -> String {
    // Of `.`, too. A folder whose path cannot be told keeps the one given.
    let folder = path::absolute(folder).unwrap_or_else(|_| folder.into());
    let name_of = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let name = name_of(&folder);
    let stem = match numbered(&name) {
        Some((stem, number)) if number == seed => stem,
        _ => match name.parse() == Ok(seed) {
            true => "",
            false => return name,
        },
    };
    let stem = stem.trim_end_matches(['-', '_']);
    let stem = stem.strip_suffix("seed").unwrap_or(stem);
    match (stem.trim_end_matches(['-', '_', '.']), folder.parent()) {
        ("", Some(above)) if above.file_name().is_some() => name_of(above),
        ("", _) => name,
        (stem, _) => stem.to_owned(),
    }
}

/// `name`, with a number where it is taken.
fn free_name(name: String, taken: &mut HashSet<String>) -> String {
    let mut free = name.clone();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}
