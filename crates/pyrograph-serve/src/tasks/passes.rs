//! One step as several passes of a network.

/// Calls `pass` for slices of `walks` in their order, each of at most `most` rows but of one walk at least: more rows than
/// pay together cost latency and memory, whether they come from several requests or from one.
pub(super) fn in_passes<W, E>(
    walks: &mut [&mut W],
    most: usize,
    rows: impl Fn(&W) -> usize,
    mut pass: impl FnMut(&mut [&mut W]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = walks;
    while !rest.is_empty() {
        let mut sum = 0;
        let fits = |walk: &&&mut W| {
            sum += rows(walk);
            sum <= most
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (now, later) = rest.split_at_mut(count);
        pass(now)?;
        rest = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the passes over walks of so many rows.
    fn passes(rows: &[usize], most: usize) -> Vec<Vec<usize>> {
        let mut walks = rows.to_vec();
        let mut walks: Vec<_> = walks.iter_mut().collect();
        let mut passes = Vec::new();
        let done = in_passes(
            &mut walks,
            most,
            |rows| *rows,
            |pass| {
                passes.push(pass.iter().map(|rows| **rows).collect());
                Ok::<_, ()>(())
            },
        );
        assert_eq!(done, Ok(()));
        passes
    }

    #[test]
    fn a_pass_has_as_many_rows_as_pay_and_one_walk_at_least() {
        assert_eq!(passes(&[2, 2, 1, 2], 4), [vec![2, 2], vec![1, 2]]);
        assert_eq!(passes(&[2, 2], 1), [[2], [2]]);
        assert_eq!(passes(&[1, 1, 1], usize::MAX), [[1, 1, 1]]);
        assert!(passes(&[], 4).is_empty());
    }

    #[test]
    fn a_pass_that_fails_is_the_last() {
        let (mut a, mut b) = (1, 1);
        let mut calls = 0;
        let result = in_passes(
            &mut [&mut a, &mut b],
            1,
            |rows| *rows,
            |_| {
                calls += 1;
                Err("failed")
            },
        );
        assert_eq!((result, calls), (Err("failed"), 1));
    }
}
