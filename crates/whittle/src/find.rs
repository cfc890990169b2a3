//! Where the model is.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::Usage;

/// The bundled model's folder, relative to the root of the repository or the installation.
const BUNDLED: &str = "models/reader";

/// The folder of `--model`, else of `WHITTLE_MODEL`, else the bundled model.
pub(crate) fn model(flag: Option<&Path>) -> Result<PathBuf> {
    if let Some(folder) = flag {
        return Ok(folder.to_owned());
    }
    if let Some(folder) = std::env::var_os("WHITTLE_MODEL").filter(|v| !v.is_empty()) {
        return Ok(folder.into());
    }
    let starts = [
        std::env::current_exe().ok(),
        std::env::current_dir().ok(),
        Some(PathBuf::from(env!("CARGO_MANIFEST_DIR"))),
    ];
    starts.iter().flatten().find_map(|start| above(start)).ok_or_else(|| {
        Usage(format!(
            "no model: give --model FOLDER or set WHITTLE_MODEL (the bundled {BUNDLED} was found neither above \
             the executable nor above the current directory)"
        ))
        .into()
    })
}

/// The bundled model in one of the folders above `start`.
fn above(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|folder| folder.join(BUNDLED))
        .find(|model| model.join("config.json").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_every_folder_above() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(above(&deep), None);
        let model = root.path().join("a").join(BUNDLED);
        std::fs::create_dir_all(&model).unwrap();
        assert_eq!(above(&deep), None, "a folder without a config is no model");
        std::fs::write(model.join("config.json"), "{}").unwrap();
        assert_eq!(above(&deep), Some(model));
    }

    #[test]
    fn the_flag_wins() {
        assert_eq!(model(Some(Path::new("here"))).unwrap(), Path::new("here"));
    }
}
