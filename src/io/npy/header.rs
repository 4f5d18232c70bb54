//! The header of a .npy file, a Python dictionary: `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }`.

use crate::io::array::Dtype;
use crate::io::raw::Stored;

/// What the header says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NpyHeader {
    pub(super) stored: Stored,
    /// Values of one number: 2 where it is complex.
    pub(super) n_parts: usize,
    pub(super) big_endian: bool,
    /// Whether the first axis runs fastest.
    pub(super) fortran: bool,
    /// Sides of the axes, in NumPy's order.
    pub(super) sides: Vec<usize>,
}

/// Parses the text of a header, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<NpyHeader, String> {
    let field = |name: &str| {
        let at = text.find(&format!("'{name}'"))? + name.len() + 2;
        text.get(at..)?.trim_start().strip_prefix(':').map(str::trim_start)
    };
    let damaged = || "a damaged .npy header".to_owned();
    let descr = field("descr").and_then(|rest| rest.strip_prefix('\'')?.split('\'').next());
    let descr = descr.ok_or("a .npy file of records, expected plain numbers; save one field of it")?;
    let fortran = field("fortran_order").ok_or_else(damaged)?.starts_with("True");
    let inside =
        field("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next()).ok_or_else(damaged)?;
    let sides: Vec<usize> = inside
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| side.trim_end_matches('L').parse().map_err(|_e| damaged()))
        .collect::<Result<_, _>>()?;
    let (order, kind) = match descr.chars().next() {
        Some('<' | '>' | '=' | '|') => descr.split_at(1),
        _ => ("=", descr),
    };
    let (stored, n_parts) = type_of(kind).ok_or_else(|| unread(descr, kind))?;
    Ok(NpyHeader { stored, n_parts, big_endian: order == ">", fortran, sides })
}

/// How the values of a type are stored, and how many make a number.
fn type_of(kind: &str) -> Option<(Stored, usize)> {
    let stored = match kind {
        "u1" | "b1" | "?" => Stored::Same(Dtype::U8),
        "i1" => Stored::Same(Dtype::I8),
        "u2" => Stored::Same(Dtype::U16),
        "i2" => Stored::Same(Dtype::I16),
        "u4" => Stored::Same(Dtype::U32),
        "i4" => Stored::Same(Dtype::I32),
        "f4" | "c8" => Stored::Same(Dtype::F32),
        "f8" | "c16" => Stored::Same(Dtype::F64),
        "u8" => Stored::U64,
        "i8" => Stored::I64,
        "f2" => Stored::F16,
        _ => return None,
    };
    Some((stored, if kind.starts_with('c') { 2 } else { 1 }))
}

/// The sentence about a type that is not read.
fn unread(descr: &str, kind: &str) -> String {
    let what = match kind.chars().next() {
        Some('f' | 'c' | 'g' | 'G') => "long floats differ from machine to machine; save them as float64",
        Some('U' | 'S' | 'a') => "text is no array of numbers",
        Some('O') => "Python objects are not read; save the numbers in them",
        Some('M' | 'm') => "dates are no numbers; save them as float64",
        _ => "save it as one of the number types",
    };
    format!(".npy values of type {descr} are not read: {what}")
}
