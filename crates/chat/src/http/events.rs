//! Server-sent events, as far as chat interfaces use them: the data of each event.

/// Cuts a byte stream into the data of its events.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
}

impl Events {
    /// Takes bytes as they come; gives `on` the data of the events that they complete.
    pub(super) fn push<E>(
        &mut self,
        bytes: &[u8],
        mut on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.pop_if(|byte| *byte == b'\n').is_none() {
                continue;
            }
            self.line.pop_if(|byte| *byte == b'\r');
            let line = std::mem::take(&mut self.line);
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                if !data.is_empty() {
                    on(&data)?;
                }
            } else if let Some(data) = line.strip_prefix(b"data:") {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(data.trim_ascii());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let text = ": hello\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nevent: x\ndata:ü\n\ndata: [DONE]\n\ndata: cut";
        for size in 1..text.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for part in text.as_bytes().chunks(size) {
                let keep = |data: &[u8]| {
                    seen.push(String::from_utf8(data.to_vec()).unwrap());
                    Ok::<_, ()>(())
                };
                events.push(part, keep).unwrap();
            }
            assert_eq!(seen, ["{\"a\":\n1}", "ü", "[DONE]"]);
        }
    }
}
