//! The two parts of labelled data.

use std::fmt;
use std::str::FromStr;

use crate::DataError;

/// A part of a data set: training or test data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The training data.
    Train,
    /// The test data.
    Test,
}

impl Split {
    /// The name, which is also the name of the folder: `train` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }

    /// The beginnings of the names of MNIST's files for this part.
    pub(super) fn idx_prefixes(self) -> &'static [&'static str] {
        match self {
            Split::Train => &["train"],
            Split::Test => &["t10k", "test"],
        }
    }

    /// The names of MNIST's files for this part, in words.
    pub(crate) fn idx_names(self) -> &'static str {
        match self {
            Split::Train => "train-images-idx3-ubyte[.gz] and train-labels-idx1-ubyte[.gz]",
            Split::Test => "t10k-images-idx3-ubyte[.gz] and t10k-labels-idx1-ubyte[.gz]",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// By name: `train` or `test`.
impl FromStr for Split {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        [Split::Train, Split::Test]
            .into_iter()
            .find(|split| split.name() == name)
            .ok_or_else(|| DataError::UnknownSplit { seen: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_and_written_by_name() {
        for split in [Split::Train, Split::Test] {
            assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
        }
        let error = "validation".parse::<Split>().unwrap_err().to_string();
        assert!(
            error.contains("\"validation\"") && error.contains("test"),
            "{error}"
        );
    }
}
