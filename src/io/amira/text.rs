//! The text of a head: its pieces, its trees of entries, its declarations of fields.

use std::iter::Peekable;
use std::str::Chars;

use super::header::{Field, Node};

/// Pieces of a head at most: more than any list of materials has.
const MAX_TOKENS: usize = 1 << 20;
/// Trees within trees at most.
const MAX_DEPTH: usize = 32;

/// A piece of the head.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Open,
    Close,
    /// What ends the values of an entry.
    End,
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        if let Self::Word(word) = self { Some(word) } else { None }
    }
}

/// The head as text: older programs write µ and the like as one byte.
pub(super) fn decoded(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes)
        .map_or_else(|_e| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

/// The pieces of the head; comments are passed over.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if found.len() > MAX_TOKENS {
            return Err(format!("a head of more than {MAX_TOKENS} words"));
        }
        match letter {
            '#' => while letters.next_if(|c| *c != '\n').is_some() {},
            '{' => found.push(Token::Open),
            '}' => found.push(Token::Close),
            '\n' | ',' => found.push(Token::End),
            '"' => found.push(Token::Word(quoted(&mut letters))),
            c if c.is_whitespace() || matches!(c, '(' | ')' | '=') => {}
            c => {
                let mut word = String::from(c);
                let is_in =
                    |c: &char| !c.is_whitespace() && !matches!(c, '{' | '}' | ',' | '(' | ')' | '"' | '=');
                while let Some(letter) = letters.next_if(is_in) {
                    word.push(letter);
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

/// What stands in quotes; a backslash before a quote keeps it, others are those of paths.
fn quoted(letters: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(letter) = letters.next().filter(|c| *c != '"') {
        if letter == '\\' {
            let mut ahead = letters.clone();
            match (ahead.next(), ahead.next()) {
                // The end of a path that ends so.
                (Some('"'), None | Some('\n' | '\r' | ',')) => {}
                (Some(kept @ ('"' | '\\')), _) => {
                    letters.next();
                    word.push(kept);
                    continue;
                }
                _ => {}
            }
        }
        word.push(letter);
    }
    word
}

/// Where the brace that opens stands, at `at` or on a line below; `None` where something else does.
pub(super) fn opens(tokens: &[Token], at: usize) -> Option<usize> {
    let n = tokens.get(at..)?.iter().take_while(|token| **token == Token::End).count();
    (tokens.get(at + n) == Some(&Token::Open)).then_some(at + n)
}

/// The entries between the brace at `at` and the one that closes it.
pub(super) fn tree(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Vec<(String, Node)>, String> {
    if depth > MAX_DEPTH {
        return Err("parameters within parameters without an end".to_owned());
    }
    *at += 1;
    let mut found = Vec::new();
    while let Some(token) = tokens.get(*at) {
        match token {
            Token::Close => {
                *at += 1;
                return Ok(found);
            }
            Token::End => *at += 1,
            Token::Open => found.push((String::new(), Node::Tree(tree(tokens, at, depth + 1)?))),
            Token::Word(name) => {
                let words: Vec<&str> = tokens[*at..].iter().map_while(Token::word).collect();
                *at += words.len();
                // Names may have several words; a brace on a line of its own belongs to one word alone.
                let open = opens(tokens, *at).filter(|open| *open == *at || words.len() == 1);
                if let Some(open) = open {
                    *at = open;
                    found.push((words.join(" "), Node::Tree(tree(tokens, at, depth + 1)?)));
                } else {
                    let values = words[1..].iter().map(|word| (*word).to_owned()).collect();
                    found.push((name.clone(), Node::Values(values)));
                }
            }
        }
    }
    Err("parameters whose brace is never closed: the file is truncated".to_owned())
}

/// A field behind the brace that opens it: `float[3] Name } @1(HxZip, 123)`.
pub(super) fn field(place: &str, tokens: &[Token], at: &mut usize) -> Option<Field> {
    let is_end = |token: &&Token| **token == Token::End;
    *at += tokens[*at..].iter().take_while(is_end).count();
    let words: Vec<&str> = tokens[*at..].iter().map_while(Token::word).collect();
    *at += words.len();
    *at += tokens[*at..].iter().take_while(is_end).count();
    let (name, kind) = words.split_last().filter(|(_, kind)| !kind.is_empty())?;
    let kind = kind.concat();
    let (type_name, n) = match kind.split_once('[') {
        Some((name, n)) => (name, n.trim_end_matches(']').parse().ok()?),
        None => (kind.as_str(), if kind == "complex" { 2 } else { 1 }),
    };
    tokens.get(*at).filter(|token| **token == Token::Close)?;
    *at += 1;
    // How values lie between voxels may be said before the mark.
    if tokens.get(*at)?.word().is_some_and(|word| !word.starts_with('@')) {
        *at += 1;
    }
    let mark = tokens.get(*at)?.word()?.strip_prefix('@')?.parse().ok()?;
    *at += 1;
    let coding =
        tokens.get(*at).and_then(Token::word).filter(|word| word.starts_with("Hx")).map(str::to_owned);
    let mut packed = None;
    if coding.is_some() {
        *at += 1;
        let length = tokens[*at..].iter().take(2).find_map(Token::word);
        packed = length.and_then(|length| length.parse().ok());
    }
    Some(Field {
        place: place.to_owned(),
        type_name: type_name.to_owned(),
        n_together: n,
        name: (*name).to_owned(),
        mark,
        coding: coding.unwrap_or_default(),
        packed,
    })
}
