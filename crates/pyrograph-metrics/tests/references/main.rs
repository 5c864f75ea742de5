//! Metrics against NumPy, scikit-learn and pycocotools, and their properties.

mod dawnlike;
mod detection_properties;
mod detection_reference;
mod numpy_reference;
mod pca_reference;
mod ranking_reference;
