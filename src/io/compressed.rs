//! Files packed by gzip or bzip2: unpacked into a temporary file, then opened by their own format.
//!
//! Recognised by content. What comes out is bounded by the memory budget; a file packed twice is refused.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::GzDecoder;

use super::beside::without_compression;
use super::error::IoError;
use super::format::{Header, Source};
use crate::base::MemoryBudget;
use crate::volume::AnyArray;

/// First bytes of gzip.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
/// First bytes of bzip2, before the size of its blocks.
const BZIP2: &[u8] = b"BZh";
/// What follows the size of the blocks: a block, or the end of an empty stream.
const BZIP2_BLOCKS: [&[u8]; 2] =
    [&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59], &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]];
/// Bytes unpacked at once.
const PIECE: usize = 1 << 20;

/// A way of packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Bzip2,
}

impl Packing {
    fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(GZIP) {
            return Some(Self::Gzip);
        }
        let rest = head.strip_prefix(BZIP2)?;
        let (size, rest) = rest.split_first()?;
        (size.is_ascii_digit() && BZIP2_BLOCKS.iter().any(|block| rest.starts_with(block)))
            .then_some(Self::Bzip2)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
        }
    }
}

/// The unpacked content of a file, as a temporary file that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Unpacked {
    path: PathBuf,
    /// What was odd about the packed file.
    said: Option<String>,
    _folder: tempfile::TempDir,
}

impl Unpacked {
    /// The file unpacked, under the name that it has without the packing.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Unpacks a file; `None` where it is not packed.
    pub(crate) fn of(path: &Path, budget: MemoryBudget) -> Result<Option<Self>, IoError> {
        if !path.is_file() {
            return Ok(None);
        }
        let read_error = |e| IoError::system("read", path, e);
        let mut packed = BufReader::with_capacity(PIECE, File::open(path).map_err(read_error)?);
        let Some(packing) = Packing::of(packed.fill_buf().map_err(read_error)?) else { return Ok(None) };
        let name = without_compression(path).file_name().unwrap_or_default().to_owned();
        let (folder, target, mut sink) = Sink::create(path, Path::new(&name), budget)?;
        let said = unpack(packing, &mut packed, &mut sink)?;
        sink.out.flush().map_err(|e| IoError::system("unpack", path, e))?;
        if sink.n == 0 {
            return Err(IoError::content(
                path,
                format!("the {} file is empty; copy it again", packing.name()),
            ));
        }
        if Packing::of(&sink.head).is_some() {
            return Err(IoError::content(
                path,
                format!(
                    "packed twice: {} within {}; unpack it once",
                    Packing::of(&sink.head).map_or("", Packing::name),
                    packing.name()
                ),
            ));
        }
        Ok(Some(Self { path: target, said, _folder: folder }))
    }

    /// What a reader gives, as a temporary file of this name; `path` is the archive that it comes from.
    pub(crate) fn content_of(
        path: &Path,
        name: &str,
        content: &mut dyn Read,
        budget: MemoryBudget,
    ) -> Result<Self, IoError> {
        let (folder, target, mut sink) = Sink::create(path, Path::new(name), budget)?;
        let said = sink.drain(content)?;
        sink.out.flush().map_err(|e| IoError::system("unpack", path, e))?;
        Ok(Self { path: target, said, _folder: folder })
    }

    /// Keeps the temporary file as long as a source reads it, and says what was odd.
    pub(crate) fn hold(self, mut source: Box<dyn Source>) -> Box<dyn Source> {
        source.header_mut().warnings.extend(self.said.clone());
        Box::new(Held { source, _unpacked: self })
    }
}

/// Where the unpacked bytes go, counted.
struct Sink<'a> {
    path: &'a Path,
    out: BufWriter<File>,
    n: u64,
    budget: MemoryBudget,
    /// The first bytes.
    head: Vec<u8>,
}

impl<'a> Sink<'a> {
    /// A new temporary file in a folder of its own.
    fn create(
        path: &'a Path,
        name: &Path,
        budget: MemoryBudget,
    ) -> Result<(tempfile::TempDir, PathBuf, Self), IoError> {
        let failed = |e| IoError::system("unpack", path, e);
        let folder = tempfile::tempdir().map_err(failed)?;
        let target = folder.path().join(name);
        let out = BufWriter::with_capacity(PIECE, File::create(&target).map_err(failed)?);
        Ok((folder, target, Self { path, out, n: 0, budget, head: Vec::new() }))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.n += bytes.len() as u64;
        self.budget.admit(self.n).map_err(|source| IoError::Memory { path: self.path.to_owned(), source })?;
        if self.head.len() < 16 {
            self.head.extend(bytes.iter().take(16));
        }
        self.out.write_all(bytes).map_err(|e| IoError::system("unpack", self.path, e))
    }

    /// Takes all that a decoder gives; a stream that ends early gives a sentence.
    fn drain(&mut self, decoder: &mut dyn Read) -> Result<Option<String>, IoError> {
        let mut piece = vec![0; PIECE];
        loop {
            match decoder.read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(n) => self.take(&piece[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && self.n > 0 => {
                    return Ok(Some(format!(
                        "the packed file ends early (cut short, or still being copied): the first {} bytes of its content were unpacked",
                        self.n
                    )));
                }
                Err(e) => {
                    let problem = format!(
                        "the packed file is damaged ({e}) after {} bytes of content; copy it again",
                        self.n
                    );
                    return Err(IoError::content(self.path, problem));
                }
            }
        }
    }
}

/// Unpacks all streams of a file, one after the other.
fn unpack(
    packing: Packing,
    packed: &mut BufReader<File>,
    sink: &mut Sink<'_>,
) -> Result<Option<String>, IoError> {
    if packing == Packing::Bzip2 {
        return sink.drain(&mut MultiBzDecoder::new(packed));
    }
    loop {
        if let Some(said) = sink.drain(&mut GzDecoder::new(&mut *packed))? {
            return Ok(Some(said));
        }
        let rest = packed.fill_buf().map_err(|e| IoError::system("read", sink.path, e))?;
        if rest.is_empty() || rest.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !rest.starts_with(&GZIP[..GZIP.len().min(rest.len())]) {
            return Ok(Some("bytes behind the end of the packed content were left out".to_owned()));
        }
    }
}

/// A source that reads a temporary file.
struct Held {
    source: Box<dyn Source>,
    _unpacked: Unpacked,
}

impl Source for Held {
    fn header(&self) -> &Header {
        self.source.header()
    }

    fn header_mut(&mut self) -> &mut Header {
        self.source.header_mut()
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        self.source.read_planes(planes)
    }

    fn reads_planes(&self) -> bool {
        self.source.reads_planes()
    }

    fn reads_rows(&self) -> bool {
        self.source.reads_rows()
    }

    fn read_rows(&mut self, planes: Range<usize>, rows: Range<usize>) -> Result<AnyArray, IoError> {
        self.source.read_rows(planes, rows)
    }

    fn read_into(&mut self, planes: Range<usize>, into: &mut [u8]) -> Result<bool, IoError> {
        self.source.read_into(planes, into)
    }
}

/// Kinds of archives by their first bytes, and where those stand.
const ARCHIVES: [(usize, &[u8], &str); 7] = [
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\xfd7zXZ\0", "an xz file"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a rar archive"),
    (0, b"\x1f\x9d", "a compress (.Z) file"),
    (257, b"ustar", "a tar archive"),
];

/// The sentence about a file that is an archive.
pub(crate) fn archive_sentence(head: &[u8]) -> Option<String> {
    let is =
        |(at, mark, _): &&(usize, &[u8], &str)| head.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    let (_, _, name) = ARCHIVES.iter().find(is)?;
    Some(format!("{name}, which is not unpacked here; unpack it and open the file within"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::base::Progress;
    use crate::io::{WriteRequest, read_array, write_array};
    use ndarray::Array3;
    use proptest::prelude::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn array() -> Array3<f32> {
        Array3::from_shape_fn((4, 5, 6), |(z, y, x)| (z * 30 + y * 6 + x) as f32)
    }

    /// The bytes of a file of `extension`.
    fn plain(extension: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("a.{extension}"));
        write_array(&path, &WriteRequest::new(&array()), &Progress::new()).unwrap();
        std::fs::read(path).unwrap()
    }

    fn read(name: &str, bytes: &[u8], gib: f64) -> Result<crate::io::Loaded, IoError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_array(&path, &Progress::new(), MemoryBudget::from_gib(gib))
    }

    #[test]
    fn twins_of_every_format_of_one_file_are_read() {
        for extension in ["mrc", "map", "npy", "tif", "h5"] {
            let bytes = plain(extension);
            for (packed, suffix) in [(gzip(&bytes), "gz"), (bzip2(&bytes), "bz2")] {
                let loaded = read(&format!("a.{extension}.{suffix}"), &packed, 0.1).unwrap();
                assert_eq!(loaded.array, AnyArray::F32(array()), "{extension}.{suffix}");
                // By content: whatever the name says.
                assert!(read("noname", &packed, 0.1).is_ok(), "{extension}.{suffix}");
            }
        }
    }

    #[test]
    fn two_streams_one_after_the_other_are_one_file() {
        let bytes = plain("npy");
        let (a, b) = bytes.split_at(100);
        for packed in [
            [gzip(a), gzip(b)].concat(),
            [bzip2(a), bzip2(b)].concat(),
            [gzip(&bytes), vec![0; 600]].concat(),
        ] {
            assert_eq!(read("a.npy.gz", &packed, 0.1).unwrap().array, AnyArray::F32(array()));
        }
        let loaded = read("a.npy.gz", &[gzip(&bytes), b"tail".to_vec()].concat(), 0.1).unwrap();
        assert!(loaded.header.warnings[0].contains("left out"), "{:?}", loaded.header.warnings);
    }

    #[test]
    fn what_is_cut_damaged_too_large_or_packed_twice_is_said() {
        let bytes = plain("mrc");
        let text = |packed: &[u8], gib: f64| read("a.mrc.gz", packed, gib).unwrap_err().to_string();
        assert!(text(&gzip(&gzip(&bytes)), 0.1).contains("packed twice"));
        assert!(text(&gzip(&vec![0; 5 << 20]), 0.001).contains("memory"));
        let mut damaged = gzip(&bytes);
        let end = damaged.len() - 6;
        damaged[end] ^= 0xff;
        assert!(text(&damaged, 0.1).contains("damaged"));
        // Values that pack badly, cut in the middle: the whole planes are there.
        let noisy = Array3::from_shape_fn((40, 50, 60), |(z, y, x)| {
            ((z * 7919 + y * 104_729 + x * 1_299_709) % 65_521) as u16
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mrc");
        write_array(&path, &WriteRequest::new(&noisy), &Progress::new()).unwrap();
        let packed = gzip(&std::fs::read(&path).unwrap());
        let loaded = read("a.mrc.gz", &packed[..packed.len() / 2], 0.1).unwrap();
        let said = loaded.header.warnings.join(" ");
        assert!(said.contains("ends early") && said.contains("missing"), "{said}");
        for (head, part) in [(&b"PK\x03\x04zzzz"[..], "zip"), (b"\xfd7zXZ\0\0\0", "xz")] {
            let text = read("a.mrc", &[head, &[0; 3000]].concat(), 0.1).unwrap_err().to_string();
            assert!(text.contains(part) && text.contains("unpack it"), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn mutated_packed_files_never_panic(changes in prop::collection::vec((0usize..200, any::<u8>()), 1..6), second in any::<bool>()) {
            let bytes = plain("npy");
            let mut packed = if second { bzip2(&bytes) } else { gzip(&bytes) };
            for (at, value) in changes {
                if let Some(byte) = packed.get_mut(at) {
                    *byte = value;
                }
            }
            drop(read("a.npy.gz", &packed, 0.01));
        }
    }
}
