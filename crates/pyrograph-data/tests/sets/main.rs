//! Files and folders of images, arrays and labels.

mod bicubic;
mod dawnlike;
mod folders;
mod image_folders;
mod mnist_files;
mod npy_files;
