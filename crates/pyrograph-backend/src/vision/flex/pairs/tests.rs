use burn_std::bf16;

use super::{super::product::product_by_distant_rows, *};

/// Numbers that bf16 holds exactly, so that sums differ by their order alone.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 37 + seed) % 31) as f32 / 8.0 - 1.875;
    (0..count).map(number).collect()
}

fn halves(numbers: &[f32]) -> Vec<bf16> {
    numbers.iter().map(|x| bf16::from_f32(*x)).collect()
}

/// Of `left` [rows, inner] and `right` [inner, columns].
fn by_definition(left: &[f32], right: &[f32], [rows, inner, columns]: [usize; 3]) -> Vec<f32> {
    let at = |row: usize, column: usize| {
        let terms = (0..inner)
            .map(|i| f64::from(left[row * inner + i]) * f64::from(right[i * columns + column]));
        terms.sum::<f64>() as f32
    };
    (0..rows * columns)
        .map(|place| at(place / columns, place % columns))
        .collect()
}

#[test]
fn products_of_every_size_agree_with_the_definition() {
    if !multiplies_bf16() {
        return;
    }
    let sizes = [
        [1, 1, 1],
        [7, 33, 65],
        [13, 64, 100],
        [6, 31, 17],
        [50, 130, 200],
        [29, 3, 48],
        [97, 2, 31],
        [64, 64, 64],
        [3, 0, 5],
    ];
    for [rows, inner, columns] in sizes {
        let (left, right) = (numbers(rows * inner, 5), numbers(inner * columns, 11));
        let exact = by_definition(&left, &right, [rows, inner, columns]);
        let mut words = vec![7; Panels::words(inner, columns)];
        pack_rows(&mut words, &right, columns, [inner, columns]);
        // The same columns, one after the other and apart.
        let step = inner + 3;
        let mut turned = vec![9.0; columns * step];
        for (place, value) in right.iter().enumerate() {
            turned[place % columns * step + place / columns] = *value;
        }
        let mut of_columns = vec![9; words.len()];
        pack_columns(&mut of_columns, &halves(&turned), step, [inner, columns]);
        assert_eq!(words, of_columns, "panels of {inner} × {columns}");

        let mut by_columns = vec![bf16::ZERO; columns * inner];
        narrow_columns(&mut by_columns, &right, columns, [inner, columns]);
        for (place, value) in right.iter().enumerate() {
            let turned = by_columns[place % columns * inner + place / columns];
            assert_eq!(turned.to_f32(), *value, "{inner} × {columns} turned");
        }

        let left = halves(&left);
        let factors = (
            Rows::new(&left, rows, inner, inner),
            Panels::new(&words, inner, columns),
        );
        let out_step = columns + 5;
        let mut out = vec![1.0; rows * out_step];
        for (into, before) in [(Into::Overwrite, 0.0), (Into::Add, 1.0)] {
            product_by_distant_rows(&mut out, out_step, &factors, into);
            for row in 0..rows {
                for column in 0..out_step {
                    let seen = out[row * out_step + column];
                    match exact[row * columns..][..columns].get(column) {
                        Some(exact) => assert!(
                            (seen - exact * (1.0 + before)).abs() <= 1e-4 * exact.abs().max(1.0),
                            "{rows} × {inner} × {columns}, {row}, {column}: {seen}, {exact}"
                        ),
                        None => assert_eq!(seen, 1.0, "beyond the columns"),
                    }
                }
            }
        }
    }
}

#[test]
fn rounding_is_to_the_nearest_and_to_even_where_two_are_as_near() {
    let mut numbers: Vec<f32> = (0..100_u32)
        .map(|i| f32::from_bits(0x3f80_7f00 + i * 0x101))
        .collect();
    numbers.extend([
        f32::INFINITY,
        -0.0,
        f32::MAX,
        1.0 + 1.0 / 256.0,
        1.0 + 3.0 / 256.0,
    ]);
    let mut rounded = vec![bf16::ZERO; numbers.len()];
    narrow(&numbers, &mut rounded);
    assert_eq!(rounded, halves(&numbers));
}

#[test]
#[should_panic(expected = "words of panels")]
fn panels_of_another_size_are_refused() {
    Panels::new(&[0; 15], 2, 16);
}
