//! The loss of diffusion training.

use burn::tensor::{Element, Tensor, TensorData, backend::Backend};

use crate::LossError;

/// `L = 1/N · Σᵢ wᵢ · mean((m̂ᵢ − mᵢ)²)` over a batch of `N` items:
/// [DDPM](https://arxiv.org/abs/2006.11239), equation 14, where `m` is the quantity that the
/// network predicts (noise, clean sample or velocity) and `w` is 1, or a weight by timestep such as
/// Min-SNR's.
#[derive(Clone, Debug, PartialEq)]
pub struct DenoisingLoss {
    weights: Option<Vec<f32>>,
}

impl DenoisingLoss {
    /// All items have the same weight.
    pub fn uniform() -> Self {
        Self { weights: None }
    }

    /// One weight for each item.
    pub fn weighted(weights: Vec<f32>) -> Self {
        Self {
            weights: Some(weights),
        }
    }

    /// The scalar loss.
    ///
    /// # Shapes
    /// `prediction` and `target` [batch, …], equal; result `[1]`.
    ///
    /// # Errors
    /// When the shapes differ, or the number of weights is not the batch size.
    pub fn forward<B: Backend, const D: usize>(
        &self,
        prediction: Tensor<B, D>,
        target: Tensor<B, D>,
    ) -> Result<Tensor<B, 1>, LossError> {
        if self.weights.is_none() {
            same_shape(&prediction, &target)?;
            return Ok((prediction - target).square().mean());
        }
        Ok(self.forward_unreduced(prediction, target)?.mean())
    }

    /// The weighted loss of each item.
    ///
    /// # Shapes
    /// `prediction` and `target` [batch, …], equal; result `[batch]`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_unreduced<B: Backend, const D: usize>(
        &self,
        prediction: Tensor<B, D>,
        target: Tensor<B, D>,
    ) -> Result<Tensor<B, 1>, LossError> {
        same_shape(&prediction, &target)?;
        let batch = prediction.dims()[0];
        let errors = (prediction - target).square().reshape([batch as i32, -1]);
        let losses: Tensor<B, 1> = errors.mean_dim(1).reshape([batch]);
        match &self.weights {
            None => Ok(losses),
            Some(weights) if weights.len() != batch => Err(LossError::Weights {
                seen: weights.len(),
                batch,
            }),
            Some(weights) => {
                let data = TensorData::new(weights.clone(), [batch]);
                let weights = Tensor::from_data(data, (&losses.device(), B::FloatElem::dtype()));
                Ok(losses * weights)
            }
        }
    }
}

fn same_shape<B: Backend, const D: usize>(
    prediction: &Tensor<B, D>,
    target: &Tensor<B, D>,
) -> Result<(), LossError> {
    if prediction.dims() == target.dims() {
        return Ok(());
    }
    Err(LossError::Shape {
        prediction: prediction.dims().to_vec(),
        target: target.dims().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    type A = Autodiff<Flex>;

    fn tensor(values: [[f32; 2]; 2]) -> Tensor<A, 2> {
        Tensor::from_floats(values, &Default::default())
    }

    #[test]
    fn weights_count_by_item() {
        let (prediction, target) = (
            tensor([[1.0, 3.0], [0.0, 2.0]]),
            tensor([[0.0, 0.0], [0.0, 0.0]]),
        );
        let loss = DenoisingLoss::weighted(vec![1.0, 0.5]);
        let items = loss
            .forward_unreduced(prediction.clone(), target.clone())
            .expect("legal");
        assert_eq!(items.into_data().to_vec::<f32>().expect("f32"), [5.0, 1.0]);
        assert_eq!(
            loss.forward(prediction.clone(), target.clone())
                .expect("legal")
                .into_scalar(),
            3.0
        );
        assert_eq!(
            DenoisingLoss::uniform()
                .forward(prediction, target)
                .expect("legal")
                .into_scalar(),
            3.5
        );
    }

    #[test]
    fn the_gradient_is_two_w_times_the_error_over_the_count() {
        let prediction = tensor([[1.0, 3.0], [0.0, 2.0]]).require_grad();
        let loss = DenoisingLoss::weighted(vec![1.0, 0.5]);
        let loss = loss
            .forward(prediction.clone(), tensor([[0.0; 2]; 2]))
            .expect("legal");
        let grads = loss.backward();
        let gradient = prediction.grad(&grads).expect("tracked").into_data();
        // ∂L/∂p = 2·w·(p − m)/(batch · values an item).
        assert_eq!(gradient.to_vec::<f32>().expect("f32"), [0.5, 1.5, 0.0, 0.5]);
    }

    #[test]
    fn extreme_errors_stay_finite() {
        let loss = DenoisingLoss::uniform()
            .forward(tensor([[1e18, -1e18], [0.0, 0.0]]), tensor([[0.0; 2]; 2]));
        assert!(loss.expect("legal").into_scalar().is_finite());
    }

    #[test]
    fn shapes_and_counts_that_differ_are_refused() {
        let wide = Tensor::<A, 2>::zeros([2, 3], &Default::default());
        let error = DenoisingLoss::uniform()
            .forward(tensor([[0.0; 2]; 2]), wide)
            .expect_err("shape");
        assert!(error.to_string().contains("[2, 2]") && error.to_string().contains("[2, 3]"));
        let error = DenoisingLoss::weighted(vec![1.0])
            .forward(tensor([[0.0; 2]; 2]), tensor([[0.0; 2]; 2]));
        assert!(
            error
                .expect_err("count")
                .to_string()
                .contains("1 weights for a batch of 2")
        );
    }
}
