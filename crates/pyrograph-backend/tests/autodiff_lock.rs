//! Threads that differentiate under the lock keep their gradients; without it, a seventh of them was lost here.

use std::thread;

use burn::{backend::Autodiff, tensor::Tensor};
use burn_flex::Flex;
use pyrograph_backend::lock_autodiff;

type B = Autodiff<Flex>;

/// How often a leaf that is used again and again has its gradient. Nothing but the joined tensor refers to the joined parts.
fn right_gradients(rounds: usize) -> usize {
    let x = Tensor::<B, 1>::from_floats([1.0, 2.0], &Default::default()).require_grad();
    (0..rounds)
        .filter(|_| {
            let _turn = lock_autodiff();
            let parts = (0..8).map(|i| x.clone().mul_scalar(i as f32)).collect();
            let gradients = Tensor::cat(parts, 0).sum().backward();
            x.grad(&gradients)
                .is_some_and(|g| g.into_data().to_vec::<f32>().unwrap() == [28.0, 28.0])
        })
        .count()
}

#[test]
fn threads_that_hold_the_lock_lose_no_gradient() {
    let rounds = 3000;
    let threads: Vec<_> = (0..4)
        .map(|_| thread::spawn(move || right_gradients(rounds)))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), rounds);
    }
}

#[test]
fn a_thread_may_take_the_lock_again() {
    let _outer = lock_autodiff();
    assert_eq!(right_gradients(1), 1);
}
