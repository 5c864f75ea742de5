//! Errors of plans.

/// Why a load test cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The address does not read.
    #[error(
        "the URL `{url}` does not read: {reason}; it must be as in http://127.0.0.1:8080/invocations"
    )]
    Url {
        /// The address.
        url: String,
        /// Why it does not read.
        reason: String,
    },
    /// The address is of another protocol.
    #[error("the scheme of the URL `{url}` is `{scheme}`, but must be http or https")]
    Scheme {
        /// The address.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// A number that must be above zero is zero.
    #[error("{what} is 0, but must be at least 1")]
    Zero {
        /// The number.
        what: &'static str,
    },
    /// A number is above its bound.
    #[error("{what} is {seen}, but must be at most {most}")]
    TooLarge {
        /// The number.
        what: &'static str,
        /// Its value.
        seen: u64,
        /// Its bound.
        most: u64,
    },
    /// The rate of the open loop is no rate.
    #[error("the rate is {seen} requests a second, but must be above 0 and at most {most}")]
    Rate {
        /// The rate.
        seen: f64,
        /// The largest rate.
        most: f64,
    },
    /// Neither a number of requests nor a time bounds the test.
    #[error("nothing ends the load test: give a number of requests or a duration")]
    Endless,
    /// A header is malformed. The message leaves the value out, which may be secret.
    #[error(
        "the header `{name}` is malformed: a name has letters, digits and `-`, a value printable characters"
    )]
    Header {
        /// Its name.
        name: String,
    },
    /// The HTTP client does not start.
    #[error("the HTTP client does not start")]
    Client(#[source] reqwest::Error),
}
