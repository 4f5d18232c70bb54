//! The header: lines of `field: value` and `key:=value` up to an empty line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use crate::io::array::Dtype;
use crate::io::body::{Packing, numbered};
use crate::io::error::IoError;
use crate::io::raw::Stored;

/// Longest header that is read.
const MAX_HEADER: u64 = 16 << 20;
/// Axes of an array at most.
const MAX_AXES: usize = 16;

/// What a header says.
pub(super) struct Said {
    /// Fields by their names without spaces, lower case.
    fields: Vec<(String, String)>,
    /// Keys of users and programs, in the order of the file.
    pub(super) keys: Vec<(String, String)>,
    /// Names of files that follow `data file: LIST`.
    listed: Vec<String>,
    /// Bytes of the header.
    n_bytes: u64,
}

/// How the axes are taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axes {
    /// Planes, rows, columns.
    pub(super) shape: [usize; 3],
    /// Which axis of the file is z, y, x; `None` for one that it lacks.
    pub(super) space: [Option<usize>; 3],
    pub(super) n_together: usize,
    pub(super) n_times: usize,
    pub(super) n_apart: usize,
    /// What had to be assumed.
    pub(super) said: Option<String>,
}

/// What an axis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Time,
    Channel,
}

impl Said {
    pub(super) fn read(path: &Path) -> Result<Self, IoError> {
        let read_error = |e| IoError::system("read", path, e);
        let mut text = BufReader::new(File::open(path).map_err(read_error)?).take(MAX_HEADER);
        let mut said = Self { fields: Vec::new(), keys: Vec::new(), listed: Vec::new(), n_bytes: 0 };
        let mut is_listing = false;
        loop {
            let mut line = Vec::new();
            let n = text.read_until(b'\n', &mut line).map_err(read_error)?;
            said.n_bytes += n as u64;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            // An empty line ends a header with values behind it, the end of the file one without.
            if n == 0 || line.is_empty() {
                break;
            }
            if is_listing {
                said.listed.push(line.trim().to_owned());
            } else if line.starts_with('#') {
            } else if let Some((key, value)) = line.split_once(":=") {
                said.keys.push((unescaped(key), unescaped(value)));
            } else if let Some((field, value)) = line.split_once(": ").or_else(|| line.split_once(':')) {
                let field = field.to_lowercase().replace([' ', '_'], "");
                is_listing = field == "datafile" && value.trim_start().starts_with("LIST");
                said.fields.push((field, value.trim().to_owned()));
            }
        }
        Ok(said)
    }

    /// Where the values begin in the file that holds them.
    pub(super) fn values_at(&self) -> u64 {
        if self.field("datafile").is_some() { 0 } else { self.n_bytes }
    }

    /// A field by its name without spaces.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// A key.
    pub(super) fn key(&self, name: &str) -> Option<&str> {
        self.keys.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The words of a field, those in quotes as they are.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let (mut words, mut word, mut is_quoted, mut is_open) = (Vec::new(), String::new(), false, false);
        for letter in self.field(name).unwrap_or_default().chars() {
            match letter {
                '"' => (is_quoted, is_open) = (!is_quoted, true),
                letter if letter.is_whitespace() && !is_quoted => {
                    if is_open {
                        words.push(std::mem::take(&mut word));
                    }
                    is_open = false;
                }
                letter => {
                    word.push(letter);
                    is_open = true;
                }
            }
        }
        if is_open {
            words.push(word);
        }
        words
    }

    /// Vectors in brackets, `none` for an axis without; empty where the field is not there.
    pub(super) fn vectors(&self, name: &str) -> Vec<Option<Vec<f64>>> {
        let text = self.field(name).unwrap_or_default();
        let (mut vectors, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() && vectors.len() < MAX_AXES {
            if let Some(behind) = rest.strip_prefix('(') {
                let (inside, behind) = behind.split_once(')').unwrap_or((behind, ""));
                let numbers: Result<Vec<f64>, _> = inside.split(',').map(|n| n.trim().parse()).collect();
                vectors.push(numbers.ok().filter(|v| v.iter().all(|n: &f64| n.is_finite())));
                rest = behind.trim_start();
            } else {
                let (_, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                vectors.push(None);
                rest = behind.trim_start();
            }
        }
        vectors
    }

    /// Numbers of a field, NaN for words that are none.
    pub(super) fn numbers(&self, name: &str) -> Vec<f64> {
        self.words(name).iter().map(|word| word.parse().unwrap_or(f64::NAN)).collect()
    }

    pub(super) fn stored(&self) -> Result<Stored, String> {
        let kind = self.field("type").ok_or("no type of the values")?.to_lowercase();
        let plain = kind.trim_end_matches("_t").trim_end_matches(" int").trim_start_matches("signed ");
        Ok(match plain {
            "char" | "int8" => Stored::Same(Dtype::I8),
            "uchar" | "unsigned char" | "uint8" => Stored::Same(Dtype::U8),
            "short" | "int16" => Stored::Same(Dtype::I16),
            "ushort" | "unsigned short" | "uint16" => Stored::Same(Dtype::U16),
            "int" | "int32" => Stored::Same(Dtype::I32),
            "uint" | "unsigned" | "unsigned int" | "uint32" => Stored::Same(Dtype::U32),
            "longlong" | "long long" | "int64" => Stored::I64,
            "ulonglong" | "unsigned long long" | "uint64" => Stored::U64,
            "float" => Stored::Same(Dtype::F32),
            "double" => Stored::Same(Dtype::F64),
            _ => return Err(format!("values of type {kind}, which are not read")),
        })
    }

    pub(super) fn packing(&self) -> Result<Packing, String> {
        let encoding = self.field("encoding").unwrap_or("raw").to_lowercase();
        Ok(match encoding.as_str() {
            "raw" => Packing::Plain,
            "gz" | "gzip" => Packing::Gzip,
            "bz2" | "bzip2" => Packing::Bzip2,
            "txt" | "text" | "ascii" => Packing::Text,
            "hex" => Packing::Hex,
            _ => return Err(format!("the encoding {encoding}, which is not read; save it as raw or gzip")),
        })
    }

    /// Lines and bytes before the values; -1 bytes mean what the file has more than values.
    pub(super) fn skip(&self) -> Result<(u64, i64), String> {
        let number = |name: &str| {
            let text = self.field(name).unwrap_or("0");
            text.parse::<i64>().map_err(|_e| format!("a skip of {text}"))
        };
        let lines = number("lineskip")?;
        let lines = u64::try_from(lines).map_err(|_e| format!("a line skip of {lines}"))?;
        Ok((lines, number("byteskip")?))
    }

    /// Names of the files that hold the values; `None` where they lie behind the header.
    pub(super) fn data_files(&self) -> Result<Option<Vec<String>>, String> {
        let Some(text) = self.field("datafile") else { return Ok(None) };
        if text.starts_with("LIST") {
            return Ok(Some(self.listed.clone()));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        // A pattern with the first number, the last and the step; other names may have spaces.
        let numbers =
            words.get(1..4).map(|n| n.iter().map(|n| n.parse::<i64>().ok()).collect::<Option<Vec<_>>>());
        if let (Some(Some(range)), true) = (numbers, words.first().is_some_and(|name| name.contains('%'))) {
            return numbered(words[0], [range[0], range[1], range[2]]).map(Some);
        }
        Ok(Some(vec![text.to_owned()]))
    }

    /// Which axes are those of space, and what the others are.
    pub(super) fn axes(&self) -> Result<Axes, String> {
        let sizes: Option<Vec<usize>> = self.words("sizes").iter().map(|n| n.parse().ok()).collect();
        let sizes = sizes
            .filter(|sizes| !sizes.is_empty() && sizes.len() <= MAX_AXES)
            .ok_or("no sizes of the axes")?;
        if let Some(n) =
            self.field("dimension").and_then(|n| n.parse::<usize>().ok()).filter(|n| *n != sizes.len())
        {
            return Err(format!("{n} axes, and sizes of {}", sizes.len()));
        }
        let (kinds, said) = self.kinds(&sizes);
        let space: Vec<usize> = (0..sizes.len()).filter(|axis| kinds[*axis] == Kind::Space).collect();
        let (Some(first), Some(last)) = (space.first().copied(), space.last().copied()) else {
            return Err("no axis of space".to_owned());
        };
        if space.len() > 3 || last - first + 1 != space.len() {
            return Err(format!(
                "axes of the kinds {:?} and sizes {sizes:?}, which are not read",
                self.words("kinds")
            ));
        }
        let product = |axes: &[usize]| {
            axes.iter()
                .try_fold(1usize, |n, axis| n.checked_mul(sizes[*axis]))
                .ok_or("more channels than fit 64 bits")
        };
        let before: Vec<usize> = (0..first).collect();
        let n_together = product(&before)?;
        let is_time = |axis: &usize| kinds[*axis] == Kind::Time;
        // Times run faster than channels apart; other orders would need another walk.
        let behind: Vec<usize> = (last + 1..sizes.len()).collect();
        let n_times = behind.first().copied().filter(is_time).map_or(1, |axis| sizes[axis]);
        let apart = usize::from(behind.first().is_some_and(is_time));
        if behind[apart.min(behind.len())..].iter().any(is_time) {
            return Err(format!("times behind channels, of sizes {sizes:?}, which are not read"));
        }
        let n_apart = product(&behind[apart..])?;
        let at = |from_last: usize| last.checked_sub(from_last).filter(|axis| *axis >= first);
        // The last axis of space is the slowest; a picture has no z.
        let space = match last - first {
            0 => [None, None, at(0)],
            1 => [None, at(0), at(1)],
            _ => [at(0), at(1), at(2)],
        };
        let shape = space.map(|axis| axis.map_or(1, |axis| sizes[axis]));
        Ok(Axes { shape, space, n_together, n_times, n_apart, said })
    }

    fn kinds(&self, sizes: &[usize]) -> (Vec<Kind>, Option<String>) {
        let kinds = self.words("kinds");
        let directions = self.vectors("spacedirections");
        let n = sizes.len();
        if directions.len() == n && directions.iter().any(Option::is_some) {
            let kind = |axis: usize| match &directions[axis] {
                Some(_) => Kind::Space,
                None if kinds.get(axis).is_some_and(|kind| kind.eq_ignore_ascii_case("time")) => Kind::Time,
                None => Kind::Channel,
            };
            return ((0..n).map(kind).collect(), None);
        }
        let known: Vec<Option<Kind>> = (0..n)
            .map(|axis| match kinds.get(axis).map(|kind| kind.to_lowercase()).as_deref() {
                Some("domain" | "space") => Some(Kind::Space),
                Some("time") => Some(Kind::Time),
                None | Some("none" | "???" | "") => None,
                Some(_) => Some(Kind::Channel),
            })
            .collect();
        let n_space = known.iter().filter(|kind| **kind == Some(Kind::Space)).count();
        if n_space > 0 && n_space <= 3 {
            return (known.into_iter().map(|kind| kind.unwrap_or(Kind::Channel)).collect(), None);
        }
        // Nothing is said: the first three are x, y, z.
        let kind = |axis: usize| match known[axis] {
            Some(kind @ (Kind::Time | Kind::Channel)) => kind,
            _ if axis < 3 => Kind::Space,
            _ => Kind::Channel,
        };
        let said = (n > 3 && n_space == 0).then(|| {
            format!("the file does not say what its {n} axes are: the first three were taken for x, y and z, the others for channels")
        });
        ((0..n).map(kind).collect(), said)
    }
}

/// `\n` and `\\` as what they mean.
fn unescaped(text: &str) -> String {
    let (mut out, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            letter => out.push(letter),
        }
    }
    out
}
