//! How large a tracked file may be.

use super::Problem;

const TRACKED_LIMIT: u64 = 1 << 20;
const FIXTURE_LIMIT: u64 = 64 << 10;

pub(super) fn check_size(path: &str, bytes: u64) -> Option<Problem> {
    let (limit, what) = if path.contains("/tests/fixtures/") {
        (FIXTURE_LIMIT, "a fixture")
    } else {
        (TRACKED_LIMIT, "a tracked file")
    };
    (bytes > limit)
        .then(|| Problem::new(path, format!("{bytes} bytes; {what} has at most {limit}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_refused_and_one_at_the_limit_passes() {
        assert!(check_size("docs/a.png", TRACKED_LIMIT).is_none());
        assert!(check_size("docs/a.png", TRACKED_LIMIT + 1).is_some());
    }

    #[test]
    fn fixtures_have_a_limit_of_their_own() {
        let path = "crates/a/tests/fixtures/unit/x.safetensors";
        assert!(check_size(path, FIXTURE_LIMIT).is_none());
        assert!(check_size(path, FIXTURE_LIMIT + 1).is_some());
    }
}
