use proptest::prelude::*;

use super::*;

/// Numbers of the whole range.
fn numbers(count: usize, seed: usize) -> Vec<i8> {
    let number = |i: usize| ((i * 89 + i / 7 * 31 + seed * 57) % 255) as i64 - 127;
    (0..count).map(|i| number(i) as i8).collect()
}

/// Rows of bytes as products take them, with other bytes between and after them.
fn laid_out(by: ByteProducts, rows: &[i8], inner: usize, step: usize) -> Vec<u8> {
    let count = rows.len() / inner;
    let mut bytes = vec![0x5a; (count + BEYOND) * step];
    for (row, to) in rows.chunks(inner).zip(bytes.chunks_mut(step)) {
        for (to, number) in to.iter_mut().zip(row) {
            *to = number.cast_unsigned() ^ zero(by);
        }
    }
    bytes
}

/// The sums of `rows` [count, inner] and `weight` [columns, inner].
fn sums(by: ByteProducts, rows: &[i8], weight: &[i8], inner: usize) -> Vec<i32> {
    let (count, columns) = (rows.len() / inner, weight.len() / inner);
    let (step, starts) = (row_step(inner), starts(inner));
    let bytes = laid_out(by, rows, inner, step);
    let rows = Rows::new(&bytes, count, step, &starts);
    let mut all = vec![0; count * columns];
    let ranges: Vec<_> = (0..columns)
        .step_by(WIDE)
        .map(|first| first..columns.min(first + WIDE))
        .collect();
    let memory = ranges
        .iter()
        .map(|_| vec![0xee; Panel::bytes(starts.len())]);
    let mut memory: Vec<_> = memory.collect();
    let panels = ranges.iter().zip(&mut memory).map(|(own, memory)| {
        let weight = &weight[own.start * inner..own.end * inner];
        Panel::pack(by, memory, weight, [own.len(), inner])
    });
    let panels: Vec<_> = panels.collect();
    products(by, &rows, &panels, |number, range, sums| {
        let own = &ranges[number];
        for (row, sums) in range.zip(sums.chunks(WIDE)) {
            all[row * columns..][own.clone()].copy_from_slice(&sums[..own.len()]);
        }
    });
    all
}

fn by_definition(rows: &[i8], weight: &[i8], inner: usize) -> Vec<i64> {
    let dot = |row: &[i8], weight: &[i8]| {
        let terms = row.iter().zip(weight);
        terms.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum()
    };
    let rows = rows.chunks(inner);
    rows.flat_map(|row| weight.chunks(inner).map(move |weight| dot(row, weight)))
        .collect()
}

fn assert_sums([count, inner, columns]: [usize; 3], seed: usize) {
    let (rows, weight) = (
        numbers(count * inner, seed),
        numbers(columns * inner, seed + 1),
    );
    let exact = by_definition(&rows, &weight, inner);
    for by in ByteProducts::all() {
        let seen: Vec<i64> = sums(by, &rows, &weight, inner)
            .into_iter()
            .map(i64::from)
            .collect();
        assert!(seen == exact, "{by:?}, {count} × {inner} × {columns}");
    }
}

#[test]
fn every_kernel_gives_the_sums_of_the_definition() {
    // Parts of tiles, of strips and of panels; several parts of a sum.
    for size in [
        [1, 1, 1],
        [17, 64, 16],
        [32, 128, 32],
        [33, 65, 33],
        [64, 64, 64],
        [70, 320, 50],
        [3, 64 * 45 + 3, 40],
        [40, 64 * 61, 17],
    ] {
        assert_sums(size, 3);
    }
}

#[test]
fn the_largest_sums_of_all_fit() {
    let inner = MOST_INNER;
    let weight = vec![i8::MIN; inner];
    let exact = -127 * 128 * inner as i64;
    for by in ByteProducts::all() {
        assert_eq!(
            sums(by, &vec![127; inner], &weight, inner),
            [exact as i32],
            "{by:?}"
        );
        assert_eq!(
            sums(by, &vec![-127; inner], &weight, inner),
            [-exact as i32],
            "{by:?}"
        );
    }
}

#[test]
fn taps_are_packed_as_a_convolution_sees_them() {
    for [columns, channels, taps] in [
        [1, 1, 1],
        [32, 64, 9],
        [17, 130, 9],
        [5, 33, 4],
        [20, 70, 25],
    ] {
        let weight = numbers(columns * channels * taps, 9);
        let pieces = channels.div_ceil(DEEP) * taps;
        // The same columns one after the other.
        let inner = pieces * DEEP;
        let mut plain = vec![0; columns * inner];
        for (place, number) in weight.iter().enumerate() {
            let (column, channel, tap) = (
                place / taps / channels,
                place / taps % channels,
                place % taps,
            );
            let piece = channel / DEEP * taps + tap;
            plain[column * inner + piece * DEEP + channel % DEEP] = *number;
        }
        for by in ByteProducts::all() {
            let [mut memory, mut of_plain] = [0xee, 0xdd].map(|x| vec![x; Panel::bytes(pieces)]);
            let panel = Panel::pack_taps(by, &mut memory, &weight, [columns, channels, taps]);
            let plain = Panel::pack(by, &mut of_plain, &plain, [columns, inner]);
            assert_eq!(panel.tiles, plain.tiles, "{columns}, {channels}, {taps}");
            assert_eq!(panel.first, plain.first, "{columns}, {channels}, {taps}");
        }
    }
}

#[test]
fn numbers_are_the_nearest_with_ties_to_even() {
    let values = [127.0, -127.0, 0.5, 1.5, -2.5, 0.0, -0.49, 63.51];
    let scale = Scale::of(largest(&values));
    assert_eq!((scale.scale, scale.inverse), (1.0, 1.0));
    let mut bytes = [9; 8];
    quantise(&values, scale.inverse, 0, &mut bytes);
    let numbers = bytes.map(u8::cast_signed);
    assert_eq!(numbers, [127, -127, 0, 2, -2, 0, 0, 64]);
    quantise(&values, scale.inverse, 0x80, &mut bytes);
    assert_eq!(
        bytes.map(|byte| i32::from(byte) - 128),
        numbers.map(i32::from)
    );
}

#[test]
fn zeros_tiny_values_and_what_is_not_finite_have_scales_that_say_so() {
    for (values, expected) in [
        (&[][..], 1.0),
        (&[0.0, -0.0], 1.0),
        (&[1e-38, -1e-40], 1.0),
        (&[-2.54, 1.0], 0.02),
        (&[f32::MAX, 1.0], f32::MAX / 127.0),
    ] {
        assert_eq!(Scale::of(largest(values)).scale, expected, "{values:?}");
    }
    for odd in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let scale = Scale::of(largest(&[1.0, odd, 3.0]));
        assert!(scale.scale.is_nan() && scale.inverse == 0.0, "{odd}");
    }
    // The largest value of each size is 127 in numbers.
    for value in [1e-30, 3e-5, 0.1, 7.77, 1e30, f32::MAX] {
        let mut byte = [0];
        quantise(&[value], Scale::of(largest(&[value])).inverse, 0, &mut byte);
        assert_eq!(byte, [127], "{value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn products_of_all_sizes_agree_with_the_definition(
        size in [1..100_usize, 1..300_usize, 1..80_usize],
        seed in 0..1000_usize,
    ) {
        assert_sums(size, seed);
    }

    #[test]
    fn pixels_become_rows(
        [channels, count, more] in [1..150_usize, 1..40_usize, 0..5_usize],
        zero in prop::sample::select(vec![0_u8, 0x80]),
    ) {
        let step = count + more;
        let planes: Vec<f32> = numbers(channels * step, 5)
            .into_iter()
            .map(|number| f32::from(number) * 0.37)
            .collect();
        let to_step = row_step(channels);
        let (mut rows, mut scales) = (vec![3; count * to_step], vec![0.0; count]);
        quantise_tokens(&planes, step, channels, zero, &mut rows, to_step, &mut scales);
        for (pixel, row) in rows.chunks(to_step).enumerate() {
            let values: Vec<f32> = (0..channels).map(|i| planes[i * step + pixel]).collect();
            let scale = Scale::of(largest(&values));
            assert_eq!(scale.scale, scales[pixel]);
            let mut expected = vec![0; channels];
            quantise(&values, scale.inverse, zero, &mut expected);
            assert_eq!(row[..channels], expected);
        }
    }
}
