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

/// Over parts of a panel too.
const SIZES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [7, 33, 65],
    [13, 64, 100],
    [6, 31, 17],
    [50, 130, 200],
    [29, 3, 48],
    [97, 2, 31],
    [64, 64, 64],
    [3, 0, 5],
    [7, 2 * DEEP + 301, 70],
];

/// Holds `left·panels` to the definition, written over other values and added to them.
fn assert_product<T: Number>(left: &[T], words: &[u32], exact: &[f32], size: [usize; 3]) {
    let [rows, inner, columns] = size;
    let factors = (
        Rows::new(left, rows, inner, inner),
        Panels::new(words, inner, columns),
    );
    let out_step = columns + 5;
    let mut out = vec![1.0; rows * out_step];
    for (into, times) in [(Into::Overwrite, 1.0), (Into::Add, 2.0)] {
        product_by_distant_rows(&mut out, out_step, &factors, into);
        for (place, seen) in out.iter().enumerate() {
            let (row, column) = (place / out_step, place % out_step);
            match exact[row * columns..][..columns].get(column) {
                Some(exact) => assert!(
                    (seen - exact * times).abs() <= 2e-4 * exact.abs().max(1.0),
                    "{size:?}, {row}, {column}: {seen}, {exact}"
                ),
                None => assert_eq!(*seen, 1.0, "beyond the columns"),
            }
        }
    }
}

/// The columns of `right` one after the other, `step` apart.
fn turned(right: &[f32], columns: usize, step: usize) -> Vec<f32> {
    let mut turned = vec![9.0; columns * step];
    for (place, value) in right.iter().enumerate() {
        turned[place % columns * step + place / columns] = *value;
    }
    turned
}

#[test]
fn products_of_bf16_of_every_size_agree_with_the_definition() {
    if !bf16::has_products() {
        return;
    }
    for size @ [rows, inner, columns] in SIZES {
        let (left, right) = (numbers(rows * inner, 5), numbers(inner * columns, 11));
        let exact = by_definition(&left, &right, size);
        let mut words = vec![7; Panels::<bf16>::words(inner, columns)];
        pack_rows(&mut words, &right, columns, [inner, columns]);
        let step = inner + 3;
        let mut of_columns = vec![9; words.len()];
        let apart = halves(&turned(&right, columns, step));
        pack_columns(&mut of_columns, &apart, step, [inner, columns]);
        assert_eq!(words, of_columns, "panels of {inner} × {columns}");
        let mut by_columns = vec![bf16::ZERO; columns * inner];
        narrow_columns(&mut by_columns, inner, &right, columns, [inner, columns]);
        assert_eq!(by_columns, halves(&turned(&right, columns, inner)));
        assert_product(&halves(&left), &words, &exact, size);
    }
}

#[test]
fn products_of_f32_of_every_size_agree_with_the_definition() {
    if !f32::has_products() {
        return;
    }
    for size @ [rows, inner, columns] in SIZES {
        let (left, right) = (numbers(rows * inner, 5), numbers(inner * columns, 11));
        let mut words = vec![7; Panels::<f32>::words(inner, columns)];
        let step = inner + 3;
        let apart = turned(&right, columns, step);
        pack_columns(&mut words, &apart, step, [inner, columns]);
        assert_product(&left, &words, &by_definition(&left, &right, size), size);
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
    Panels::<bf16>::new(&[0; 15], 2, 16);
}
