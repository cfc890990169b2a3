//! Llama (text only) against `golden/llama`, both layouts of config.json, every kernel path.

use whittle_models::llama::Llama;
use whittle_models::{Message, Model};

use crate::golden::{Case, Deviations, LAYOUTS, model_folder, model_folder_with};
use crate::parity::{check, every_isa};

const CASES: [&str; 2] = ["llama/case_0", "llama/case_1"];

#[test]
fn every_case_is_reproduced_with_both_layouts_on_every_kernel_path() {
    for layout in LAYOUTS {
        let folder = model_folder_with("llama", layout);
        for options in every_isa() {
            let model = Llama::load(folder.path(), &options).unwrap();
            let mut deviations = Deviations::default();
            for case in CASES.map(Case::open) {
                let prompt = model
                    .prompt(&[Message::user(case.user_text(), 0)], &[])
                    .unwrap();
                check(&model, &prompt, &case, &mut deviations);
            }
            deviations.print(&format!("llama {layout} {:?}", options.kernels.isa()));
        }
    }
}

#[test]
fn a_text_model_takes_no_images() {
    let folder = model_folder("llama");
    let model = Llama::load(folder.path(), &every_isa().last().unwrap()).unwrap();
    let images = Case::open("llava-next-mistral/case_0").images();
    let error = model
        .prompt(&[Message::user("what is this?", 1)], &images)
        .unwrap_err();
    assert!(error.to_string().contains("image"), "{error}");
}
