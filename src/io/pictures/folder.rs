//! Pictures of a folder as the planes of one stack.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::names::Ordered;
use super::{name_of, open_picture};
use crate::base::MemoryBudget;
use crate::io::array::{Dtype, put_planes, zeros};
use crate::io::choice::ReadOptions;
use crate::io::error::IoError;
use crate::io::format::{Header, Kind, OpenRequest, Source};
use crate::volume::AnyArray;

/// Sentences about single pictures that are passed on.
const MAX_SAID: usize = 8;

pub(super) struct FolderSource {
    folder: PathBuf,
    files: Vec<PathBuf>,
    options: ReadOptions,
    budget: MemoryBudget,
    pub(super) header: Header,
    /// What pictures must be like, and the size of the pixels of the first.
    kind: PictureKind,
    voxel_um: Option<[f64; 3]>,
    n_said: usize,
}

/// What pictures of one stack have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PictureKind {
    shape: [usize; 3],
    dtype: Dtype,
    /// Values of a pixel, but its opacity.
    n_colours: usize,
}

impl PictureKind {
    fn of(header: &Header) -> Self {
        let n_colours = match header.n_channels {
            1 | 2 => 1,
            3 | 4 => 3,
            more => more,
        };
        Self { shape: header.shape, dtype: header.dtype, n_colours }
    }

    fn said(self) -> String {
        let Self { shape: [pages, rows, cols], dtype, n_colours } = self;
        let pages = if pages > 1 { format!(" with {pages} pages") } else { String::new() };
        let colours = if n_colours > 1 { format!(" of {n_colours} channels") } else { String::new() };
        format!("{rows} × {cols} {}{colours}{pages}", dtype.name())
    }
}

impl FolderSource {
    pub(super) fn open(request: &OpenRequest<'_>, pictures: Ordered) -> Result<Self, IoError> {
        let Ordered { files, angles_deg, .. } = pictures;
        let first =
            files.first().ok_or_else(|| IoError::content(request.path, "a folder without pictures"))?;
        let options = ReadOptions { channel: request.options.channel, ..ReadOptions::default() };
        let of_first = open_picture(first, &options, request.budget)?.header().clone();
        let [n_pages, rows, cols] = of_first.shape;
        if n_pages != 1 && files.len() > 1 {
            let problem = format!(
                "a folder of {} stacks ({} has {n_pages} pages); open one of them",
                files.len(),
                first.display()
            );
            return Err(IoError::content(request.path, problem));
        }
        let kind = PictureKind::of(&of_first);
        let mut header =
            Header::new("folder of pictures", [files.len().max(n_pages), rows, cols], of_first.dtype);
        (header.voxel_um, header.ratios) = (of_first.voxel_um, of_first.ratios);
        header.n_channels = of_first.n_channels;
        header.channel_names = of_first.channel_names;
        header.warnings = of_first.warnings;
        if angles_deg.len() == header.shape[0] {
            header.kind = Kind::Scan;
            header.angles_deg = angles_deg;
        }
        let files = if n_pages == 1 { files } else { vec![first.clone(); n_pages] };
        header.metadata.insert("first".to_owned(), name_of(files.first()));
        header.metadata.insert("last".to_owned(), name_of(files.last()));
        let (folder, budget, voxel_um) = (request.path.to_owned(), request.budget, of_first.voxel_um);
        Ok(Self { folder, files, options, budget, header, kind, voxel_um, n_said: 0 })
    }

    /// The error about pictures that are not like most: which they are, and of what size.
    fn odd_ones(&self) -> IoError {
        let of = |file: &PathBuf| {
            let source = open_picture(file, &self.options, self.budget).ok()?;
            Some(PictureKind::of(source.header()))
        };
        let kinds: Vec<_> = self.files.iter().map(of).collect();
        let count = |kind: &Option<_>| kinds.iter().filter(|other| *other == kind).count();
        let Some(Some(usual)) = kinds.iter().filter(|kind| kind.is_some()).max_by_key(|kind| count(kind))
        else {
            return IoError::content(&self.folder, "the pictures of the folder cannot be read");
        };
        let odd: Vec<String> = self
            .files
            .iter()
            .zip(&kinds)
            .filter(|(_, kind)| **kind != Some(*usual))
            .map(|(file, kind)| match kind {
                Some(kind) => format!("{} is {}", name_of(Some(file)), kind.said()),
                None => format!("{} cannot be read", name_of(Some(file))),
            })
            .collect();
        let more = if odd.len() > 3 { format!(" and {} more", odd.len() - 3) } else { String::new() };
        let problem = format!(
            "{} of {} pictures are {}, but {}{more}; move what does not belong elsewhere",
            count(&Some(*usual)),
            self.files.len(),
            usual.said(),
            odd.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
        );
        IoError::content(&self.folder, problem)
    }

    /// Passes on what is said of one picture and not of the first.
    fn pass_on(&mut self, file: &Path, of_one: &Header) {
        let name = name_of(Some(&file.to_owned()));
        let mut said = of_one.warnings.clone();
        let edge = |voxel: Option<[f64; 3]>| voxel.map(|voxel| voxel[2]);
        let (found, first) = (edge(of_one.voxel_um), edge(self.voxel_um));
        if found.zip(first).map_or(found != first, |(a, b)| (a - b).abs() > 1e-4 * b) {
            let size = |um: Option<f64>| um.map_or_else(|| "no size".to_owned(), |um| format!("{um} µm"));
            said.push(format!(
                "its pixels have {}, those of the first picture {}, which was taken for all",
                size(found),
                size(first)
            ));
        }
        for sentence in said {
            let is_known = self.header.warnings.iter().any(|known| known.ends_with(&sentence));
            if !is_known && self.n_said < MAX_SAID {
                self.n_said += 1;
                self.header.warnings.push(format!("{name}: {sentence}"));
            }
        }
    }
}

impl Source for FolderSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let [_, rows, cols] = self.header.shape;
        let mut whole = zeros(self.header.dtype, [planes.len(), rows, cols]);
        let is_one_file = self.files.windows(2).any(|pair| pair[0] == pair[1]);
        for (at, plane) in planes.enumerate() {
            let Some(file) = self.files.get(plane).cloned() else { continue };
            let mut source = open_picture(&file, &self.options, self.budget)?;
            let page = if is_one_file { plane } else { 0 };
            let (channel, n) = (self.options.channel.unwrap_or(0), source.header().n_channels);
            if channel >= n {
                let problem = format!("{} has no channel {channel}, only {n}", name_of(Some(&file)));
                return Err(IoError::content(&self.folder, problem));
            }
            let is_like_first = PictureKind::of(source.header()) == self.kind;
            if !is_like_first || !put_planes(&mut whole, at, &source.read_planes(page..page + 1)?) {
                return Err(self.odd_ones());
            }
            self.pass_on(&file, source.header());
        }
        Ok(whole)
    }
}
