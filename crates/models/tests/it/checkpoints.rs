//! Changes the weights of a model folder.

use std::path::Path;

use half::bf16;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use crate::golden::rewrite;

/// A tensor as the tests change it.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

/// Changes the tensors of a folder's checkpoint.
pub(crate) fn change_tensors(folder: &Path, change: impl FnOnce(&mut Vec<Tensor>)) {
    rewrite(folder, "model.safetensors", |bytes| {
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Vec<Tensor> = file
            .tensors()
            .into_iter()
            .map(|(name, view)| Tensor {
                name,
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                data: view.data().to_vec(),
            })
            .collect();
        change(&mut tensors);
        let views = tensors.iter().map(|t| {
            (
                &t.name,
                TensorView::new(t.dtype, t.shape.clone(), &t.data).unwrap(),
            )
        });
        serialize(views, None).unwrap()
    });
}

pub(crate) fn find<'a>(tensors: &'a mut [Tensor], name: &str) -> &'a mut Tensor {
    tensors
        .iter_mut()
        .find(|tensor| tensor.name == name)
        .unwrap()
}

impl Tensor {
    /// The elements of an F32 tensor.
    pub(crate) fn floats(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        let elements = self.data.chunks_exact(4);
        elements
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    /// Replaces shape and elements.
    pub(crate) fn set(&mut self, shape: &[usize], values: &[f32]) {
        self.dtype = Dtype::F32;
        self.shape = shape.to_vec();
        self.data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    }

    /// Rounds the elements to bf16; with `stored` they are stored so as well.
    pub(crate) fn round(&mut self, stored: bool) {
        let rounded: Vec<bf16> = self.floats().into_iter().map(bf16::from_f32).collect();
        if stored {
            self.dtype = Dtype::BF16;
            self.data = rounded.iter().flat_map(|v| v.to_le_bytes()).collect();
        } else {
            let values: Vec<f32> = rounded.into_iter().map(f32::from).collect();
            self.set(&self.shape.clone(), &values);
        }
    }
}
