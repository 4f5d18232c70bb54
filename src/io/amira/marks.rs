//! Where the values of a field stand: behind the line of its mark, `@1`.

use std::fs::File;
use std::io::{BufReader, Read as _};

/// Where the line of a mark stands in some bytes, and where the values behind it begin.
pub(super) fn find_mark(bytes: &[u8], mark: usize) -> Option<(usize, usize)> {
    let wanted = format!("\n@{mark}");
    let found = bytes.windows(wanted.len()).enumerate().filter(|(_, part)| *part == wanted.as_bytes());
    found.map(|(at, _)| at).find_map(|at| {
        let rest = &bytes[at + wanted.len()..];
        let n = rest.iter().take_while(|byte| matches!(**byte, b' ' | b'\r' | b'\t')).count();
        // A comment may stand behind it.
        let more = match rest.get(n) {
            Some(b'#') => rest[n..].iter().take(LONGEST_COMMENT).position(|byte| *byte == b'\n')?,
            _ => 0,
        };
        (rest.get(n + more) == Some(&b'\n')).then_some((at, at + wanted.len() + n + more + 1))
    })
}

/// Longest comment behind a mark.
const LONGEST_COMMENT: usize = 256;

/// Bytes that are looked through for a mark at a time.
const WINDOW: usize = 1 << 16;

/// Bytes from here on to behind the line of a mark; of text all the rest is looked through.
pub(super) fn search(file: &File, mark: usize, is_text: bool) -> std::io::Result<Option<u64>> {
    let mut reader = BufReader::new(file);
    let (mut seen, mut window) = (0u64, Vec::new());
    loop {
        let n = (&mut reader).take(WINDOW as u64).read_to_end(&mut window)?;
        if let Some((_, behind)) = find_mark(&window, mark) {
            return Ok(Some(seen + behind as u64));
        }
        if n == 0 || (!is_text && seen > 0) {
            return Ok(None);
        }
        // The line may lie across two windows.
        let kept = window.len().min(2 * LONGEST_COMMENT);
        seen += (window.len() - kept) as u64;
        window.drain(..window.len() - kept);
    }
}
