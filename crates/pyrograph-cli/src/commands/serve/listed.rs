//! Flags that may be given several times, and their variables.

use std::ffi::OsStr;

use clap::{Arg, Command, Error, builder::TypedValueParser, parser::ValueSource};

/// The values of one flag, or of a whole variable.
#[derive(Clone, Debug)]
pub(super) struct Several<T>(Vec<T>);

/// Reads a flag as one value, and a variable of the environment as values between commas.
#[derive(Clone)]
pub(super) struct Listed<P>(pub(super) P);

impl<P: TypedValueParser> TypedValueParser for Listed<P> {
    type Value = Several<P::Value>;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, Error> {
        let one = self.0.parse_ref(command, argument, value)?;
        Ok(Several(vec![one]))
    }

    fn parse_ref_(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Self::Value, Error> {
        let (ValueSource::EnvVariable, Some(text)) = (source, value.to_str()) else {
            return self.parse_ref(command, argument, value);
        };
        let parts = text.split(',').map(str::trim);
        let values = parts
            .filter(|part| !part.is_empty())
            .map(|part| self.0.parse_ref(command, argument, part.as_ref()));
        Ok(Several(values.collect::<Result<_, _>>()?))
    }
}

/// The values of all occurrences of a flag, in their order.
pub(super) fn all<T>(occurrences: Vec<Several<T>>) -> Vec<T> {
    occurrences
        .into_iter()
        .flat_map(|Several(values)| values)
        .collect()
}
