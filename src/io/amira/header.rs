//! The head of an AmiraMesh file: what it defines, its tree of parameters, its fields and where their values stand.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::io::array::Dtype;
use crate::io::body::Packing;
use crate::io::error::IoError;
use crate::io::raw::Stored;

/// Longest head that is read.
const MAX_HEAD: u64 = 4 << 20;
/// Trees within trees at most.
const MAX_DEPTH: usize = 32;
/// Most entries of the tree that go into the metadata.
const MAX_ENTRIES: usize = 2000;

/// An entry of the tree of parameters.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Values(Vec<String>),
    Tree(Vec<(String, Self)>),
}

/// One field: values on something that is defined.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// On what: "Lattice".
    place: String,
    pub(super) type_name: String,
    pub(super) n_together: usize,
    pub(super) name: String,
    /// Which `@` its values follow.
    mark: usize,
    coding: String,
    /// Bytes of its values as they are packed.
    packed: Option<u64>,
}

/// Everything that a head says.
#[derive(Debug, Default)]
pub(super) struct Said {
    is_text: bool,
    pub(super) big_endian: bool,
    is_surface: bool,
    defined: Vec<(String, Vec<u64>)>,
    pub(super) tree: Vec<(String, Node)>,
    fields: Vec<Field>,
    /// Where the first mark stands.
    head_bytes: u64,
}

impl Said {
    /// Reads the head of a file.
    pub(super) fn read(path: &Path) -> Result<Self, IoError> {
        let system = |e| IoError::system("read", path, e);
        let mut bytes = Vec::new();
        File::open(path).map_err(system)?.take(MAX_HEAD).read_to_end(&mut bytes).map_err(system)?;
        let end = find_mark(&bytes, 1).map_or(bytes.len(), |(at, _)| at);
        let text = String::from_utf8_lossy(&bytes[..end]);
        let mut said = Self { head_bytes: end as u64, ..Self::default() };
        said.first_line(text.lines().next().unwrap_or_default());
        if said.is_surface {
            let problem = "a surface of Amira (HyperSurface), no volume: export it as OBJ or STL, or open the labels that it was made of";
            return Err(IoError::content(path, problem));
        }
        said.parse(&tokens(&text)).map_err(|problem| IoError::content(path, problem))?;
        Ok(said)
    }

    fn first_line(&mut self, line: &str) {
        let upper = line.to_uppercase();
        self.is_surface = upper.contains("HYPERSURFACE");
        self.is_text = upper.contains("ASCII");
        self.big_endian = !self.is_text && !upper.contains("LITTLE-ENDIAN");
    }

    fn parse(&mut self, tokens: &[Token]) -> Result<(), String> {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match (token, tokens.get(at)) {
                (Token::Word(word), Some(Token::Word(name))) if word == "define" => {
                    at += 1;
                    let sides: Vec<u64> =
                        tokens[at..].iter().map_while(|token| token.word()?.parse().ok()).collect();
                    at += sides.len();
                    self.defined.push((name.clone(), sides));
                }
                (Token::Word(word), Some(Token::Open)) if word == "Parameters" => {
                    self.tree = tree(tokens, &mut at, 0)?;
                }
                (Token::Word(place), Some(Token::Open)) => {
                    at += 1;
                    self.fields.extend(field(place, tokens, &mut at));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sides of the lattice as z, y, x.
    pub(super) fn shape(&self) -> Result<[usize; 3], String> {
        let lattice = self.defined.iter().find(|(name, _)| name == "Lattice");
        let Some((_, sides)) = lattice else {
            let names: Vec<&str> = self.defined.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!(
                "an AmiraMesh without a lattice of voxels; it defines {}: a graph, a surface or points, which are not read",
                if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
            ));
        };
        let side = |n: &u64| usize::try_from(*n).ok().filter(|n| *n > 0);
        match sides.iter().map(side).collect::<Option<Vec<_>>>().as_deref() {
            Some([x, y, z]) => Ok([*z, *y, *x]),
            Some([x, y]) => Ok([1, *y, *x]),
            _ => Err(format!("a lattice of {sides:?}; 2 or 3 sides of at least 1 are read")),
        }
    }

    /// Fields with a value for each voxel.
    pub(super) fn on_lattice(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.place == "Lattice")
    }

    /// The field that is asked for, or the first and the names of the others.
    pub(super) fn chosen(&self, wanted: Option<&str>) -> Result<(&Field, Option<String>), String> {
        self.shape()?;
        let names: Vec<&str> = self.on_lattice().map(|field| field.name.as_str()).collect();
        let first = self.on_lattice().next().ok_or("a lattice without values")?;
        match wanted {
            Some(wanted) => {
                let found = self.on_lattice().find(|field| field.name == wanted.trim_matches('/'));
                let missing = || format!("no field {wanted}; the file holds {}", names.join(", "));
                found.map(|field| (field, None)).ok_or_else(missing)
            }
            None => Ok((first, (names.len() > 1).then(|| names[1..].join(", ")))),
        }
    }

    /// Where the values of a field begin.
    pub(super) fn values_at(&self, path: &Path, field: &Field) -> Result<u64, IoError> {
        let system = |e| IoError::system("read", path, e);
        let mut file = File::open(path).map_err(system)?;
        let mut at = self.head_bytes;
        let mut before: Vec<&Field> = self.fields.iter().filter(|other| other.mark <= field.mark).collect();
        before.sort_by_key(|field| field.mark);
        before.dedup_by_key(|field| field.mark);
        for next in before {
            file.seek(SeekFrom::Start(at)).map_err(system)?;
            let found = search(&file, next.mark, self.is_text).map_err(system)?;
            let Some(behind) = found else {
                let problem = format!(
                    "the values of {} (@{}) are missing: the file is truncated",
                    next.name, next.mark
                );
                return Err(IoError::content(path, problem));
            };
            at = at.saturating_add(behind);
            if next.mark < field.mark && !self.is_text {
                at = at.saturating_add(next.packed.or_else(|| self.n_bytes(next)).unwrap_or(0));
            }
        }
        Ok(at)
    }

    /// Bytes of the values of a field that is not packed.
    fn n_bytes(&self, field: &Field) -> Option<u64> {
        let (_, sides) = self.defined.iter().find(|(name, _)| *name == field.place)?;
        let n = sides.iter().try_fold(1u64, |n, side| n.checked_mul(*side))?;
        let size = field.stored().ok()?.dtype().n_bytes() as u64;
        n.checked_mul(size)?.checked_mul(field.n_together as u64)
    }

    /// How the values of a field are packed.
    pub(super) fn packing(&self, field: &Field) -> Result<Packing, String> {
        match field.coding.as_str() {
            "" if self.is_text => Ok(Packing::Text),
            "" => Ok(Packing::Plain),
            "HxZip" => Ok(Packing::Zlib),
            "HxByteRLE" if field.stored()?.dtype().n_bytes() == 1 => Ok(Packing::ByteRuns),
            "HxByteRLE" => {
                Err(format!("{} values in runs of bytes; save the file anew as binary", field.type_name))
            }
            other => Err(format!(
                "values packed as {other}; HxZip and HxByteRLE are read: save the file anew as binary"
            )),
        }
    }

    /// The values at a path of the tree, which are one text or more.
    fn values(&self, path: &[&str]) -> &[String] {
        let mut tree = &self.tree;
        for (depth, name) in path.iter().enumerate() {
            match tree.iter().find(|(key, _)| key == name) {
                Some((_, Node::Tree(below))) => tree = below,
                Some((_, Node::Values(values))) if depth + 1 == path.len() => return values,
                _ => return &[],
            }
        }
        &[]
    }

    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        self.values(path).first().map(String::as_str)
    }

    pub(super) fn numbers(&self, path: &[&str]) -> Vec<f64> {
        let parsed = self.values(path).iter().map(|text| text.parse::<f64>().ok().filter(|n| n.is_finite()));
        parsed.collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// Every entry of the tree by its path.
    pub(super) fn flat(&self) -> Vec<(String, String)> {
        fn walk(tree: &[(String, Node)], at: &str, found: &mut Vec<(String, String)>) {
            for (key, node) in tree {
                let path = if at.is_empty() { key.clone() } else { format!("{at}/{key}") };
                match node {
                    Node::Values(values) if found.len() < MAX_ENTRIES => found.push((path, values.join(" "))),
                    Node::Values(_) => {}
                    Node::Tree(below) => walk(below, &path, found),
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.tree, "", &mut found);
        found
    }
}

impl Field {
    /// The type of its values.
    pub(super) fn stored(&self) -> Result<Stored, String> {
        Ok(Stored::Same(match self.type_name.as_str() {
            "byte" => Dtype::U8,
            "short" => Dtype::I16,
            "ushort" => Dtype::U16,
            "int" | "int32" => Dtype::I32,
            "uint" | "uint32" => Dtype::U32,
            "float" | "complex" => Dtype::F32,
            "double" => Dtype::F64,
            other => return Err(format!("values of the type {other}, which are not read")),
        }))
    }
}

/// A piece of the head.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Open,
    Close,
    /// What ends the values of an entry.
    End,
}

impl Token {
    fn word(&self) -> Option<&str> {
        if let Self::Word(word) = self { Some(word) } else { None }
    }
}

/// The pieces of the head; comments are passed over.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '#' => while letters.next_if(|c| *c != '\n').is_some() {},
            '{' => found.push(Token::Open),
            '}' => found.push(Token::Close),
            '\n' | ',' => found.push(Token::End),
            '"' => {
                let mut word = String::new();
                while let Some(letter) = letters.next().filter(|c| *c != '"') {
                    word.push(if letter == '\\' { letters.next().unwrap_or('\\') } else { letter });
                }
                found.push(Token::Word(word));
            }
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
    found
}

/// The entries between the brace at `at` and the one that closes it.
fn tree(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Vec<(String, Node)>, String> {
    if depth > MAX_DEPTH {
        return Err("parameters within parameters without an end".to_owned());
    }
    *at += 1;
    let mut found = Vec::new();
    while let Some(token) = tokens.get(*at) {
        match (token, tokens.get(*at + 1)) {
            (Token::Close, _) => {
                *at += 1;
                return Ok(found);
            }
            (Token::Word(name), Some(Token::Open)) => {
                *at += 1;
                found.push((name.clone(), Node::Tree(tree(tokens, at, depth + 1)?)));
            }
            (Token::Word(name), _) => {
                *at += 1;
                let values: Vec<String> =
                    tokens[*at..].iter().map_while(|token| token.word().map(str::to_owned)).collect();
                *at += values.len();
                found.push((name.clone(), Node::Values(values)));
            }
            _ => *at += 1,
        }
    }
    Err("parameters whose brace is never closed: the file is truncated".to_owned())
}

/// A field behind the brace that opens it: `float[3] Name } @1(HxZip, 123)`.
fn field(place: &str, tokens: &[Token], at: &mut usize) -> Option<Field> {
    let words: Vec<&str> = tokens[*at..].iter().map_while(Token::word).collect();
    *at += words.len();
    let [kind, name] = words.as_slice() else { return None };
    let (type_name, n) = match kind.split_once('[') {
        Some((name, n)) => (name, n.trim_end_matches(']').parse().ok()?),
        None => (*kind, if *kind == "complex" { 2 } else { 1 }),
    };
    tokens.get(*at).filter(|token| **token == Token::Close)?;
    *at += 1;
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

/// Where the line of a mark stands in some bytes, and where the values behind it begin.
fn find_mark(bytes: &[u8], mark: usize) -> Option<(usize, usize)> {
    let wanted = format!("\n@{mark}");
    let found = bytes.windows(wanted.len()).enumerate().filter(|(_, part)| *part == wanted.as_bytes());
    found.map(|(at, _)| at).find_map(|at| {
        let rest = &bytes[at + wanted.len()..];
        let n = rest.iter().take_while(|byte| matches!(**byte, b' ' | b'\r' | b'\t')).count();
        (rest.get(n) == Some(&b'\n')).then_some((at, at + wanted.len() + n + 1))
    })
}

/// Bytes that are looked through for a mark at a time.
const WINDOW: usize = 1 << 16;

/// Bytes from here on to behind the line of a mark; of text all the rest is looked through.
fn search(file: &File, mark: usize, is_text: bool) -> std::io::Result<Option<u64>> {
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
        let kept = window.len().min(64);
        seen += (window.len() - kept) as u64;
        window.drain(..window.len() - kept);
    }
}
