//! What the command line prints: one place for stdout, one for error sentences.

/// One line for an error and its causes, outermost first, each said once.
pub(super) fn sentence(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// Prints a line on stdout; a reader that went away is no error.
pub(super) fn print_line(text: &str) {
    use std::io::Write as _;
    if writeln!(std::io::stdout(), "{text}").is_err() {
        log::debug!("stdout is closed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn causes_are_said_once_and_in_one_line() {
        let error =
            Err::<(), _>(std::io::Error::other("disk\nfull")).context("could not write a.mrc").unwrap_err();
        assert_eq!(sentence(&error), "could not write a.mrc: disk full");
    }
}
