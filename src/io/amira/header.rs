//! The head of an AmiraMesh file: what it defines, its tree of parameters, its fields and where their values stand.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::marks::{find_mark, search};
use super::text::{Token, decoded, field, opens, tokens, tree};
use crate::io::array::Dtype;
use crate::io::body::Packing;
use crate::io::error::IoError;
use crate::io::raw::Stored;

/// Fields of a file at most; a few are usual.
const MAX_FIELDS: usize = 1000;
/// Longest head that is read.
const MAX_HEAD: u64 = 4 << 20;
/// Most entries of the tree that go into the metadata.
pub(super) const MAX_ENTRIES: usize = 2000;

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
    pub(super) place: String,
    pub(super) type_name: String,
    pub(super) n_together: usize,
    pub(super) name: String,
    /// Which `@` its values follow.
    pub(super) mark: usize,
    pub(super) coding: String,
    /// Bytes of its values as they are packed.
    pub(super) packed: Option<u64>,
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
        let text = decoded(&bytes[..end]);
        let mut said = Self { head_bytes: end as u64, ..Self::default() };
        said.first_line(text.lines().next().unwrap_or_default());
        if said.is_surface {
            let problem = "a surface of Amira (HyperSurface), no volume: export it as OBJ or STL, or open the labels that it was made of";
            return Err(IoError::content(path, problem));
        }
        tokens(&text)
            .and_then(|tokens| said.parse(&tokens))
            .map_err(|problem| IoError::content(path, problem))?;
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
                (Token::Word(word), _) if word == "Parameters" && opens(tokens, at).is_some() => {
                    at = opens(tokens, at).unwrap_or(at);
                    self.tree.extend(tree(tokens, &mut at, 0)?);
                }
                // Old files have them beside the parameters.
                (Token::Word(word), _) if word == "Materials" && opens(tokens, at).is_some() => {
                    at = opens(tokens, at).unwrap_or(at);
                    self.tree.push((word.clone(), Node::Tree(tree(tokens, &mut at, 0)?)));
                }
                (Token::Word(place), Some(Token::Open)) => {
                    at += 1;
                    self.fields.extend(field(place, tokens, &mut at));
                    if self.fields.len() > MAX_FIELDS {
                        return Err(format!("more than {MAX_FIELDS} fields: the file is damaged"));
                    }
                }
                _ => {}
            }
        }
        self.tell_apart();
        Ok(())
    }

    /// Gives fields of one name their marks as well.
    fn tell_apart(&mut self) {
        let mut names = BTreeSet::new();
        for field in &mut self.fields {
            if !names.insert(field.name.clone()) {
                field.name = format!("{}@{}", field.name, field.mark);
            }
        }
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
        let n = self.n_defined(&field.place)?;
        let size = field.stored().ok()?.dtype().n_bytes() as u64;
        n.checked_mul(size)?.checked_mul(field.n_together as u64)
    }

    /// How many of something there are.
    pub(super) fn n_defined(&self, place: &str) -> Option<u64> {
        let (_, sides) = self.defined.iter().find(|(name, _)| name == place)?;
        sides.iter().try_fold(1u64, |n, side| n.checked_mul(*side))
    }

    /// The first field on something.
    pub(super) fn first_on(&self, place: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.place == place)
    }

    /// How the values of a field are packed.
    pub(super) fn packing(&self, field: &Field) -> Result<Packing, String> {
        match field.coding.as_str() {
            "" if self.is_text => Ok(Packing::Text),
            "" => Ok(Packing::Plain),
            "HxZip" => Ok(Packing::Zlib),
            "HxByteRLE" => Ok(Packing::ByteRuns),
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

    /// Finite numbers, in quotes or not; none where one is not.
    pub(super) fn numbers(&self, path: &[&str]) -> Vec<f64> {
        numbers(self.values(path)).unwrap_or_default()
    }

    /// Every entry of the tree by its path, as far as there are not too many; and how many there are.
    pub(super) fn flat(&self) -> (Vec<(String, String)>, usize) {
        fn walk(tree: &[(String, Node)], at: &str, found: &mut (Vec<(String, String)>, usize)) {
            for (key, node) in tree {
                let path = if at.is_empty() { key.clone() } else { format!("{at}/{key}") };
                match node {
                    Node::Values(values) => {
                        found.1 += 1;
                        if found.1 <= MAX_ENTRIES {
                            found.0.push((path, values.join(" ")));
                        }
                    }
                    Node::Tree(below) => walk(below, &path, found),
                }
            }
        }
        let mut found = (Vec::new(), 0);
        walk(&self.tree, "", &mut found);
        found
    }
}

/// Finite numbers of an entry, in quotes or not; `None` where a word is none.
pub(super) fn numbers(values: &[String]) -> Option<Vec<f64>> {
    let words = values.iter().flat_map(|value| value.split_whitespace());
    words.map(|word| word.parse::<f64>().ok().filter(|n| n.is_finite())).collect()
}

impl Field {
    /// The type of its values.
    pub(super) fn stored(&self) -> Result<Stored, String> {
        Ok(Stored::Same(match self.type_name.as_str() {
            "byte" | "ubyte" => Dtype::U8,
            "sbyte" => Dtype::I8,
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
