//! Divergences between class distributions, and the scores of a teacher.

use burn::tensor::{Tensor, activation::log_softmax, backend::Backend};
use pyrograph_backend::vision::{self, VisionBackend};

/// The entries of `KL(p_t ‖ p_s)` along `dim`: `p_t · (ln p_t − ln p_s)`, `p = softmax(z / T)`.
///
/// Their sum along `dim` is the Kullback–Leibler divergence `KL(p_t ‖ p_s)`. The
/// logarithms come from `log_softmax`, so that large logits stay finite. The factor T² is left to
/// the caller.
///
/// # Shapes
/// `teacher`, `student` and the result have one shape.
pub(super) fn kl_entries<B: Backend, const D: usize>(
    teacher: Tensor<B, D>,
    student: Tensor<B, D>,
    temperature: f64,
    dim: usize,
) -> Tensor<B, D> {
    let teacher = log_softmax(teacher / temperature, dim);
    let student = log_softmax(student / temperature, dim);
    teacher.clone().exp() * (teacher - student)
}

/// The highest foreground probability of every prior.
///
/// # Shapes
/// `conf` [batch, priors, classes], logits with the background first; result [batch, priors, 1].
pub(super) fn foreground_scores<B: VisionBackend>(conf: Tensor<B, 3>) -> Tensor<B, 3> {
    let [batch, priors, classes] = conf.dims();
    vision::softmax(conf)
        .slice([0..batch, 0..priors, 1..classes])
        .max_dim(2)
}
