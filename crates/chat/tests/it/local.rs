//! A checkpoint of this machine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use whittle_chat::{ChatError, ChatModel, Control, Finish, OpenOptions, Price, open};
use whittle_testing::golden;

use super::{ask, ask_with, options, request, weather};

fn tiny(options: &OpenOptions) -> Box<dyn ChatModel> {
    open(
        &format!("local:{}", golden("models/llama").display()),
        options,
    )
    .unwrap()
}

#[test]
fn a_checkpoint_answers_with_a_compressed_cache_for_nothing() {
    let model = tiny(&options());
    assert_eq!(model.price(), Some(Price::default()));
    let reply = ask(&*model, &request(&"A long question. ".repeat(10))).unwrap();
    assert_eq!(reply.cost, Some(0.0));
    assert!(!reply.usage.estimated && reply.usage.output > 0);
    let compressed = reply.compressed.unwrap();
    assert_eq!(compressed.tokens, reply.usage.input);
    assert!(compressed.kept_tokens <= compressed.tokens as f64);
    assert!(compressed.kept_bytes <= compressed.bytes);

    let mut options = options();
    options.compression.options.alpha = 0.2;
    options.compression.options.min_mass = None;
    let reply = ask(&*tiny(&options), &request(&"A long question. ".repeat(10))).unwrap();
    let compressed = reply.compressed.unwrap();
    assert!(
        compressed.kept_tokens < 0.3 * compressed.tokens as f64,
        "{compressed:?}"
    );
    assert!(
        compressed.kept_bytes < compressed.bytes / 2,
        "{compressed:?}"
    );
}

#[test]
fn it_is_told_of_tools_in_text_and_bounded() {
    let model = tiny(&options());
    let mut asked = request("?");
    let plain = ask(&*model, &asked).unwrap();
    asked.tools = vec![weather()];
    asked.max_tokens = 3;
    match ask(&*model, &asked) {
        Ok(reply) => {
            assert!(reply.usage.input > plain.usage.input + 20);
            assert!(reply.usage.output <= 3 || reply.finish != Finish::Length);
        }
        // The tiny model has few positions.
        Err(error) => assert!(matches!(error, ChatError::Rejected { .. }), "{error:?}"),
    }
}

#[test]
fn it_stops_when_it_is_told_to() {
    let model = tiny(&options());
    let control = Control::new(Arc::default(), None);
    control.cancel.store(true, Ordering::SeqCst);
    let error = ask_with(&*model, &request("?"), &control).unwrap_err();
    assert!(matches!(error, ChatError::Cancelled), "{error:?}");
}

#[test]
fn a_folder_without_a_checkpoint_is_an_error() {
    assert!(matches!(
        open("local:/nowhere", &options()),
        Err(ChatError::File { .. })
    ));
}
