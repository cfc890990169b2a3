//! Reading the reference data.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use whittle_testing::golden;

/// A safetensors file of the reference data.
pub(crate) struct Tensors(Vec<u8>);

impl Tensors {
    pub(crate) fn open(path: &str) -> Self {
        Self(std::fs::read(golden(path)).unwrap())
    }

    fn parsed(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    pub(crate) fn f32(&self, name: &str) -> Vec<f32> {
        let parsed = self.parsed();
        let tensor = parsed.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F32);
        tensor
            .data()
            .chunks_exact(4)
            .map(|x| f32::from_le_bytes(x.try_into().unwrap()))
            .collect()
    }

    pub(crate) fn i64(&self, name: &str) -> Vec<i64> {
        let parsed = self.parsed();
        let tensor = parsed.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::I64);
        tensor
            .data()
            .chunks_exact(8)
            .map(|x| i64::from_le_bytes(x.try_into().unwrap()))
            .collect()
    }
}

/// A JSON file of the reference data.
pub(crate) fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden(path)).unwrap()).unwrap()
}
