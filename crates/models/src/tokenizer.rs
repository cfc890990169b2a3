//! Text to token ids and back, by the tokenizers library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::error::ModelError;
use crate::files;

/// A checkpoint's tokenizer.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    inner: Tokenizer,
    path: PathBuf,
    special: BTreeMap<String, String>,
}

/// The keys of `tokenizer_config.json` whose values chat templates may use.
const SPECIAL_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

impl TextTokenizer {
    /// Reads `tokenizer.json` and the special tokens of `tokenizer_config.json`.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("tokenizer.json");
        let text = files::read_text(&path)?;
        let broken = |problem: tokenizers::Error| ModelError::Tokenizer {
            path: path.clone(),
            problem: problem.to_string(),
        };
        let mut inner: Tokenizer = text.parse().map_err(broken)?;
        // Both belong to training; a prompt is never cut or filled up.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(broken)?;
        let special = read_special_tokens(&dir.join("tokenizer_config.json"))?;
        Ok(Self {
            inner,
            path,
            special,
        })
    }

    /// Names and texts of the special tokens, as in `bos_token`: `<s>`.
    pub fn special_tokens(&self) -> &BTreeMap<String, String> {
        &self.special
    }

    /// The id of a token's exact text.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of token ids, added tokens included.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The ids of a prompt that a chat template made.
    ///
    /// The post-processor's special tokens (`<s>` in front) are added, unless the template wrote that token itself.
    pub fn encode_prompt(&self, prompt: &str) -> Result<Vec<u32>, ModelError> {
        let begins = self
            .special
            .get("bos_token")
            .is_some_and(|bos| !bos.is_empty() && prompt.starts_with(bos));
        self.encode(prompt, !begins)
    }

    /// The ids of `text`. Special tokens written out in it become their ids. `add_special` adds those that the
    /// post-processor puts around a text.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, ModelError> {
        let encoding = self
            .inner
            .encode_fast(text, add_special)
            .map_err(|error| self.error(&error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of `ids`, without special tokens. Ids outside the vocabulary give nothing, bytes that are not UTF-8
    /// give the replacement character.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        self.inner
            .decode(ids, true)
            .map_err(|error| self.error(&error))
    }

    /// As [`Self::decode`], with special tokens written out.
    pub fn decode_with_special(&self, ids: &[u32]) -> Result<String, ModelError> {
        self.inner
            .decode(ids, false)
            .map_err(|error| self.error(&error))
    }

    /// A decoder that gives the text token by token.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream {
            tokenizer: self,
            ids: Vec::new(),
            emitted: 0,
            waiting: 0,
        }
    }

    fn error(&self, problem: &tokenizers::Error) -> ModelError {
        ModelError::Tokenizer {
            path: self.path.clone(),
            problem: problem.to_string(),
        }
    }
}

/// Turns ids into text as they come. A character whose bytes come in several tokens is held back until it is whole.
#[derive(Debug, Clone)]
pub struct TextStream<'a> {
    tokenizer: &'a TextTokenizer,
    /// Ids from the last one that gave text on: decoders look at what stands before (a space is dropped at the start).
    ids: Vec<u32>,
    /// How many of `ids` have given their text.
    emitted: usize,
    /// Tokens taken since the text ends in the middle of a character.
    waiting: usize,
}

/// A character has at most 4 bytes, so it is never waited for longer than for the last of them.
const MAX_WAIT: usize = 3;
/// Tokens without text (special tokens, a space at the start) are kept up to this number.
const MAX_SILENT: usize = 64;

impl TextStream<'_> {
    /// Takes the next id and returns the text that became whole; often one token's, sometimes none.
    pub fn push(&mut self, id: u32) -> Result<String, ModelError> {
        self.ids.push(id);
        self.advance(false)
    }

    /// The text still held back. Bytes that never became a character give the replacement character.
    pub fn finish(&mut self) -> Result<String, ModelError> {
        self.advance(true)
    }

    fn advance(&mut self, finish: bool) -> Result<String, ModelError> {
        let before = self.tokenizer.decode(&self.ids[..self.emitted])?;
        let now = self.tokenizer.decode(&self.ids)?;
        let text = match now.strip_prefix(&before) {
            Some(text) => text.to_owned(),
            // Bytes that followed made the whole run of bytes invalid. What was said stays said.
            None => self.tokenizer.decode(&self.ids[self.emitted..])?,
        };
        if text.is_empty() {
            self.waiting = 0;
            if self.ids.len() - self.emitted > MAX_SILENT {
                self.ids.truncate(self.emitted);
            }
            return Ok(text);
        }
        if text.ends_with(char::REPLACEMENT_CHARACTER) && self.waiting < MAX_WAIT && !finish {
            self.waiting += 1;
            return Ok(String::new());
        }
        self.waiting = 0;
        self.ids.drain(..self.emitted);
        self.emitted = self.ids.len();
        Ok(text)
    }
}

fn read_special_tokens(path: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    let Some(text) = files::read_text_if_there(path)? else {
        return Ok(BTreeMap::new());
    };
    let config: Value = files::parse_json(path, &text)?;
    let token = |name: &str| {
        let value = config.get(name)?;
        // Older files describe the token as an object.
        value
            .as_str()
            .or_else(|| value.get("content")?.as_str())
            .map(str::to_owned)
    };
    Ok(SPECIAL_TOKENS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), token(name)?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whittle_testing::golden;

    use super::*;

    fn open(model: &str) -> TextTokenizer {
        TextTokenizer::open(&golden(&format!("models/{model}"))).unwrap()
    }

    fn streamed(tokenizer: &TextTokenizer, ids: &[u32]) -> String {
        let mut stream = tokenizer.stream();
        let mut text = String::new();
        for id in ids {
            text += &stream.push(*id).unwrap();
        }
        text + &stream.finish().unwrap()
    }

    #[test]
    fn a_character_comes_out_when_its_last_byte_is_there() {
        let tokenizer = open("llava-next-mistral");
        let byte = |byte: u8| tokenizer.token_id(&format!("<0x{byte:02X}>")).unwrap();
        let mut stream = tokenizer.stream();
        assert_eq!(stream.push(tokenizer.token_id("h").unwrap()).unwrap(), "h");
        assert_eq!(stream.push(byte(0xe2)).unwrap(), "");
        assert_eq!(stream.push(byte(0x82)).unwrap(), "");
        assert_eq!(stream.push(byte(0xac)).unwrap(), "€");
        // Bytes that make no character: the text before stays, and nothing is held back for ever.
        assert_eq!(stream.push(byte(0xff)).unwrap(), "");
        assert!(
            stream
                .push(tokenizer.token_id("h").unwrap())
                .unwrap()
                .ends_with('h')
        );
        assert_eq!(stream.push(byte(0xe2)).unwrap(), "");
        assert_eq!(stream.finish().unwrap(), "\u{fffd}");
        assert_eq!(stream.finish().unwrap(), "");
        for _ in 0..MAX_WAIT {
            assert_eq!(stream.push(byte(0xff)).unwrap(), "");
        }
        assert!(!stream.push(byte(0xff)).unwrap().is_empty());
    }

    #[test]
    fn special_tokens_are_not_text_but_may_be_shown() {
        let tokenizer = open("llava-next-mistral");
        let ids = tokenizer.encode("<s>ab</s>", false).unwrap();
        assert_eq!((ids[0], ids[ids.len() - 1]), (1, 2));
        assert_eq!(tokenizer.decode(&ids).unwrap().trim(), "ab");
        assert!(
            tokenizer
                .decode_with_special(&ids)
                .unwrap()
                .ends_with("ab</s>")
        );
        assert_eq!(streamed(&tokenizer, &ids), tokenizer.decode(&ids).unwrap());
        assert_eq!(streamed(&tokenizer, &[2; 100]), "");
        assert_eq!(tokenizer.decode(&[u32::MAX]).unwrap(), "");
    }

    #[test]
    fn the_first_token_is_not_doubled() {
        let tokenizer = open("llama");
        assert_eq!(tokenizer.special_tokens()["bos_token"], "<|begin_of_text|>");
        let plain = tokenizer.encode_prompt("Hi").unwrap();
        assert_eq!(
            tokenizer.encode_prompt("<|begin_of_text|>Hi").unwrap(),
            plain
        );
        assert_eq!(plain.iter().filter(|id| **id == 379).count(), 1);
    }

    #[test]
    fn a_broken_tokenizer_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = TextTokenizer::open(dir.path()).unwrap_err().to_string();
        assert!(missing.contains("tokenizer.json"), "{missing}");
        std::fs::write(dir.path().join("tokenizer.json"), "{\"version\": \"1.0\"}").unwrap();
        let broken = TextTokenizer::open(dir.path()).unwrap_err();
        assert!(matches!(&broken, ModelError::Tokenizer { .. }), "{broken}");
    }

    proptest! {
        #[test]
        fn what_streams_is_what_was_encoded(text in "\\PC{0,40}", which in 0_usize..2) {
            // The character that stands for broken bytes cannot be told from them.
            prop_assume!(!text.contains(char::REPLACEMENT_CHARACTER));
            let tokenizer = open(["llama", "llava-next-mistral"][which]);
            let ids = tokenizer.encode(&text, true).unwrap();
            let decoded = tokenizer.decode(&ids).unwrap();
            prop_assert_eq!(streamed(&tokenizer, &ids), decoded);
        }

        #[test]
        fn any_ids_stream_as_text(ids in prop::collection::vec(0_u32..400, 0..40), which in 0_usize..2) {
            let tokenizer = open(["llama", "llava-next-mistral"][which]);
            streamed(&tokenizer, &ids);
        }
    }
}
