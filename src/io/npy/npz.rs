//! NumPy's .npz: arrays in a zip archive, each a .npy, of which one is read.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Npy, header, header_text};
use crate::base::Progress;
use crate::io::compressed::Unpacked;
use crate::io::error::IoError;
use crate::io::format::{ArrayEntry, Format, OpenRequest, Probe, Source, WriteRequest, has_extension};
use crate::io::walk::Values;

/// An archive that is open.
type Archive = ZipArchive<BufReader<File>>;

/// First bytes of a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";
/// Where the name of the first file of an archive begins.
const NAME_AT: usize = 30;

/// The format.
pub(crate) struct Npz;

impl Format for Npz {
    fn name(&self) -> &'static str {
        "NumPy archive"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npz"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.head.starts_with(ZIP) && (has_extension(&probe.path, &["npz"]) || first_is_npy(&probe.head))
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        open(request)
    }

    fn has_tree(&self) -> bool {
        true
    }

    fn arrays(&self, path: &Path) -> Result<Vec<ArrayEntry>, IoError> {
        let mut archive = archive(path)?;
        let names = names(&archive);
        names.into_iter().map(|name| entry(path, &mut archive, name)).collect()
    }

    fn writes(&self) -> bool {
        false
    }

    fn write(
        &self,
        path: &Path,
        _: Values<'_>,
        _: &WriteRequest<'_>,
        _: &Progress,
    ) -> Result<Vec<String>, IoError> {
        Err(IoError::content(path, "archives are not written; write .npy"))
    }
}

fn first_is_npy(head: &[u8]) -> bool {
    let Some(length) = head.get(26..28) else { return false };
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    head.get(NAME_AT..NAME_AT + length).is_some_and(|name| name.ends_with(b".npy"))
}

fn damaged(path: &Path, error: &ZipError) -> IoError {
    IoError::content(path, format!("a damaged archive ({error}); copy it again"))
}

fn archive(path: &Path) -> Result<Archive, IoError> {
    let file = File::open(path).map_err(|e| IoError::system("read", path, e))?;
    ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(path, &e))
}

/// Names of the arrays, in the order of the archive.
fn names(archive: &Archive) -> Vec<String> {
    archive.file_names().filter_map(|name| name.ok()?.strip_suffix(".npy").map(str::to_owned)).collect()
}

/// What the header of an array says; one that is not read keeps its place in the list.
fn entry(path: &Path, archive: &mut Archive, name: String) -> Result<ArrayEntry, IoError> {
    let mut file = archive.by_name(&format!("{name}.npy")).map_err(|e| damaged(path, &e))?;
    let (text, _) = header_text(path, &mut file)?;
    let (shape, dtype, note) = match header::parse(&text) {
        Ok(npy) => (npy.sides, npy.stored.dtype().name().to_owned(), String::new()),
        Err(problem) => (Vec::new(), String::new(), problem),
    };
    Ok(ArrayEntry { path: name, shape, dtype, note })
}

fn open(request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
    let path = request.path;
    let mut archive = archive(path)?;
    let names = names(&archive);
    let listed = names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    let Some(first) = names.first() else {
        return Err(IoError::content(
            path,
            "a zip archive without arrays of NumPy; unpack it and open the file within",
        ));
    };
    let asked =
        request.options.dataset.as_deref().map(|name| name.trim_start_matches('/').trim_end_matches(".npy"));
    let name = asked.unwrap_or(first);
    if !names.iter().any(|known| known == name) {
        return Err(IoError::content(
            path,
            format!("there is no array {name} in the archive; it holds {listed} (--dataset)"),
        ));
    }
    let mut entry = archive.by_name(&format!("{name}.npy")).map_err(|e| damaged(path, &e))?;
    let unpacked = Unpacked::content_of(path, "array.npy", &mut entry, request.budget)?;
    let inner = OpenRequest { path: unpacked.path(), ..*request };
    let mut source = Npy.open(&inner).map_err(|error| error.about(path))?;
    if asked.is_none() && names.len() > 1 {
        let said = format!("the array {name} of {} was read; --dataset takes another: {listed}", names.len());
        source.header_mut().warnings.push(said);
        source.header_mut().guessed.dataset = Some(name.to_owned());
    }
    source.header_mut().metadata.insert("array".to_owned(), name.to_owned());
    Ok(unpacked.hold(source))
}
