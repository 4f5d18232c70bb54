//! PNG, JPEG and BMP pictures, and folders of pictures as one stack.
//!
//! A folder is read in the order of the tilts in the names of its pictures, else in natural order; flats and darks among
//! them are told apart by their names.

mod bmp;
mod fields;
mod folder;
mod names;
mod numbers;
mod photo;
mod png;
mod roles;

use std::fs;
use std::path::{Path, PathBuf};

use self::folder::FolderSource;
use self::names::{Ordered, ordered};
use self::roles::{PictureRole, role_of};
use super::choice::ReadOptions;
use super::error::IoError;
use super::format::{Format, OpenRequest, Probe, Source, WriteRequest, has_extension};
use super::tiff::{TIFF, shown};
use super::walk::{Values, read_all};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::volume::{AnyArray, Scan};

pub(super) use self::names::natural_order;
pub(crate) use self::photo::Photo;
pub(crate) use self::png::Png;

/// Folders of pictures, one plane each.
pub(crate) struct PictureFolder;

/// Extensions of pictures by kind; of several kinds in a folder the first is read.
const KINDS: [(&str, &[&str]); 4] =
    [("TIFF", &["tif", "tiff"]), ("PNG", &["png"]), ("JPEG", &["jpg", "jpeg"]), ("BMP", &["bmp"])];

impl Format for PictureFolder {
    fn name(&self) -> &'static str {
        "folder of TIFF, PNG, JPEG or BMP pictures"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.is_folder && !pictures_in(&probe.path).is_empty()
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let listing = Listing::of(request.path)?;
        let mut source = FolderSource::open(request, listing.views.clone())?;
        source.header.warnings.extend(listing.said(false));
        Ok(Box::new(source))
    }

    fn read_scan(&self, request: &OpenRequest<'_>, progress: &Progress) -> Option<Result<Scan, IoError>> {
        let listing = Listing::of(request.path).ok()?;
        let has_frames = !(listing.flats.is_empty() && listing.darks.is_empty());
        has_frames.then(|| scan_of(request, listing, progress))
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
        Err(IoError::content(path, "folders of pictures are not written"))
    }
}

/// The pictures of a folder, told apart.
struct Listing {
    views: Ordered,
    flats: Vec<PathBuf>,
    darks: Vec<PathBuf>,
    /// Pictures of other kinds, which are left out.
    others: Option<String>,
}

impl Listing {
    fn of(folder: &Path) -> Result<Self, IoError> {
        let (files, others) = first_kind_in(folder);
        if files.is_empty() {
            return Err(IoError::content(folder, "a folder without pictures"));
        }
        let of = |wanted: PictureRole| -> Vec<PathBuf> {
            files.iter().filter(|file| role_of(file) == wanted).cloned().collect()
        };
        let (views, flats, darks) = (of(PictureRole::View), of(PictureRole::Flat), of(PictureRole::Dark));
        if views.is_empty() {
            // A folder of flats is a stack of flats.
            return Ok(Self { views: ordered(files), flats: Vec::new(), darks: Vec::new(), others });
        }
        Ok(Self { views: ordered(views), flats: ordered(flats).files, darks: ordered(darks).files, others })
    }

    /// What the user has to know. `in_scan`: flats and darks are used as such.
    fn said(&self, in_scan: bool) -> Vec<String> {
        let mut said: Vec<String> = self.others.iter().chain(&self.views.said).cloned().collect();
        let parts: Vec<String> = [(&self.flats, "flat"), (&self.darks, "dark")]
            .into_iter()
            .filter(|(files, _)| !files.is_empty())
            .map(|(files, what)| {
                format!("{} by their names {what}s ({} …)", files.len(), name_of(files.first()))
            })
            .collect();
        if !parts.is_empty() {
            let (parts, n) = (parts.join(", "), self.views.files.len());
            said.push(if in_scan {
                format!("of the pictures {parts}: used as such, the other {n} are the views; --flat and --dark take others")
            } else {
                format!("of the pictures {parts}: left out of the stack of the other {n}")
            });
        }
        said
    }
}

/// The scan of a folder that holds its flats and darks.
fn scan_of(request: &OpenRequest<'_>, listing: Listing, progress: &Progress) -> Result<Scan, IoError> {
    let said = listing.said(true);
    let read = |pictures: Ordered| {
        let mut source = FolderSource::open(request, pictures)?;
        read_all(&mut source, request.path, progress, request.budget)
    };
    let frames = |files: Vec<PathBuf>| {
        let pictures = Ordered { files, ..Ordered::default() };
        (!pictures.files.is_empty()).then(|| read(pictures).map(|loaded| loaded.array)).transpose()
    };
    let views = read(listing.views)?;
    let mut scan = Scan::new(views.array, Unit::Arbitrary);
    scan.flats = frames(listing.flats)?;
    scan.darks = frames(listing.darks)?;
    scan.angles_deg = views.header.angles_deg;
    scan.pixel_um = views.header.voxel_um.map(|voxel| voxel[2]);
    scan.metadata = views.header.metadata;
    scan.warnings = views.header.warnings;
    scan.warnings.extend(said);
    let [_, rows, cols] = scan.projections.shape();
    for (array, what) in [(&scan.flats, "flats"), (&scan.darks, "darks")] {
        if let Some([_, y, x]) = array.as_ref().map(AnyArray::shape)
            && [y, x] != [rows, cols]
        {
            let problem = format!(
                "the pictures named as {what} are {y} × {x} pixels, the views {rows} × {cols}; move them elsewhere, or give others (--flat, --dark)"
            );
            return Err(IoError::content(request.path, problem));
        }
    }
    Ok(scan)
}

fn name_of(file: Option<&PathBuf>) -> String {
    file.and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// How a picture is to be shown that is not to be shown as stored.
fn shown_sentence(orientation: u8) -> Option<String> {
    let how = shown(u64::from(orientation))?;
    Some(format!(
        "the picture is to be shown {how} (Exif orientation {orientation}); rows and columns were read as they are stored"
    ))
}

fn open_picture(
    path: &Path,
    options: &ReadOptions,
    budget: MemoryBudget,
) -> Result<Box<dyn Source>, IoError> {
    let request = OpenRequest { path, options, budget };
    match KINDS.iter().position(|(_, extensions)| has_extension(path, extensions)) {
        Some(0) => TIFF.open(&request),
        Some(1) => Png.open(&request),
        _ => Photo.open(&request),
    }
}

/// The pictures of a folder of the first kind that it has.
pub(super) fn pictures_in(folder: &Path) -> Vec<PathBuf> {
    first_kind_in(folder).0
}

/// The pictures of a folder of the first kind that it has, and a sentence about those of other kinds.
fn first_kind_in(folder: &Path) -> (Vec<PathBuf>, Option<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return (Vec::new(), None) };
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|file| !hidden(file)).collect();
    let of = |extensions: &[&str]| -> Vec<PathBuf> {
        files.iter().filter(|file| has_extension(file, extensions) && file.is_file()).cloned().collect()
    };
    let mut kinds =
        KINDS.iter().map(|(name, extensions)| (name, of(extensions))).filter(|(_, files)| !files.is_empty());
    let Some((kind, found)) = kinds.next() else { return (Vec::new(), None) };
    let others: Vec<String> = kinds.map(|(name, files)| format!("{} {name}", files.len())).collect();
    let said = (!others.is_empty()).then(|| {
        format!(
            "the {} {kind} pictures of the folder were read, {} left out",
            found.len(),
            others.join(" and ")
        )
    });
    (found, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{ScanInput, ScanOptions, read_array, read_array_of, read_scan, write_array};
    use ndarray::Array3;

    fn save(folder: &Path, name: &str, value: u16, cols: usize) {
        let plane = Array3::from_elem((1, 3, cols), value);
        write_array(&folder.join(name), &WriteRequest::new(&plane), &Progress::new()).unwrap();
    }

    fn budget() -> MemoryBudget {
        MemoryBudget::from_gib(0.1)
    }

    #[test]
    fn folders_of_pictures_are_stacks_and_odd_ones_out_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in [("s_2.tif", 2u16), ("s_10.tif", 10), ("s_1.tif", 1)] {
            save(folder.path(), name, value, 4);
        }
        let read = || read_array(folder.path(), &Progress::new(), budget());
        let array = read().unwrap().array.to_f32();
        assert_eq!(array.dim(), (3, 3, 4));
        assert_eq!([array[[0, 0, 0]], array[[1, 0, 0]], array[[2, 2, 3]]], [1.0, 2.0, 10.0]);
        // The odd one is named whether it comes first or later.
        for name in ["s_0.tif", "s_3.tif"] {
            save(folder.path(), name, 1, 5);
            let text = read().unwrap_err().to_string();
            assert!(
                text.contains("3 of 4 pictures are 3 × 4 uint16")
                    && text.contains(&format!("{name} is 3 × 5")),
                "{text}"
            );
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }

    #[test]
    fn pictures_named_by_tilt_bring_their_tilts() {
        let folder = tempfile::tempdir().unwrap();
        for tilt in [-60i32, -20, 0, 20, 60] {
            save(folder.path(), &format!("tomo_{tilt}deg.tif"), u16::try_from(tilt + 100).unwrap(), 4);
        }
        let options = ScanOptions { input: Some(ScanInput::Absorbance), ..ScanOptions::default() };
        let scan = read_scan(folder.path(), &options, &Progress::new(), budget()).unwrap();
        assert_eq!(scan.angles_deg, [-60.0, -20.0, 0.0, 20.0, 60.0]);
        let first: Vec<f32> = scan.projections.to_f32().iter().step_by(12).copied().collect();
        assert_eq!(first, [40.0, 80.0, 100.0, 120.0, 160.0]);
        assert!(scan.warnings.iter().any(|w| w.contains("-60° to 60°")), "{:?}", scan.warnings);
    }

    #[test]
    fn flats_and_darks_in_the_folder_are_taken_as_such() {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in
            [("p_0.5.tif", 5), ("p_1.5.tif", 6), ("ref_1.tif", 100), ("ref_2.tif", 102), ("dark_1.tif", 1)]
        {
            save(folder.path(), name, value, 4);
        }
        let scan = read_scan(folder.path(), &ScanOptions::default(), &Progress::new(), budget()).unwrap();
        assert_eq!(scan.projections.shape(), [2, 3, 4]);
        assert_eq!(scan.flats.as_ref().map(AnyArray::shape), Some([2, 3, 4]));
        assert_eq!(scan.darks.as_ref().and_then(AnyArray::stats).map(|s| s.max), Some(1.0));
        assert_eq!((scan.unit, scan.angles_deg.as_slice()), (Unit::Counts, &[0.5, 1.5][..]));
        assert!(
            scan.warnings
                .iter()
                .any(|w| w.contains("2 by their names flats (ref_1.tif …), 1 by their names darks")),
            "{:?}",
            scan.warnings
        );
        let loaded = read_array(folder.path(), &Progress::new(), budget()).unwrap();
        assert_eq!(loaded.array.shape(), [2, 3, 4]);
        assert!(
            loaded.header.warnings.iter().any(|w| w.contains("left out of the stack")),
            "{:?}",
            loaded.header.warnings
        );
        // A folder of flats alone is a stack.
        for name in ["p_0.5.tif", "p_1.5.tif", "dark_1.tif"] {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        assert_eq!(read_array(folder.path(), &Progress::new(), budget()).unwrap().array.shape(), [2, 3, 4]);
    }

    #[test]
    fn png_slices_of_grey_and_colour_are_read_and_mixed_folders_said() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..3u8 {
            image::GrayImage::from_pixel(4, 2, image::Luma([i]))
                .save(folder.path().join(format!("{i}.png")))
                .unwrap();
        }
        let loaded = read_array(folder.path(), &Progress::new(), budget()).unwrap();
        assert_eq!((loaded.array.shape(), loaded.array.dtype()), ([3, 2, 4], "uint8"));
        save(folder.path(), "a.tif", 7, 4);
        let mixed = read_array(folder.path(), &Progress::new(), budget()).unwrap();
        assert_eq!(mixed.array.shape(), [1, 3, 4]);
        assert!(
            mixed.header.warnings.iter().any(|w| w.contains("3 PNG left out")),
            "{:?}",
            mixed.header.warnings
        );
        let path = folder.path().join("rgb.png");
        image::RgbImage::from_pixel(2, 2, image::Rgb([7, 8, 9])).save(&path).unwrap();
        let options = ReadOptions { channel: Some(2), ..ReadOptions::default() };
        let blue = read_array_of(&path, &options, &Progress::new(), budget()).unwrap();
        assert_eq!(blue.array, AnyArray::U8(Array3::from_elem((1, 2, 2), 9)));
        assert_eq!(blue.header.channel_names, ["red", "green", "blue"]);
    }

    #[test]
    fn pages_and_colours_of_later_pictures_are_not_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let refused = || read_array(folder.path(), &Progress::new(), budget()).unwrap_err().to_string();
        save(folder.path(), "a_0.tif", 1, 4);
        save(folder.path(), "a_1.tif", 2, 4);
        let pages = Array3::from_elem((3, 3, 4), 7u16);
        let last = folder.path().join("a_2.tif");
        write_array(&last, &WriteRequest::new(&pages), &Progress::new()).unwrap();
        let said = refused();
        assert!(said.contains("a_2.tif is 3 × 4 uint16 with 3 pages"), "{said}");
        let folder = tempfile::tempdir().unwrap();
        let refused = || read_array(folder.path(), &Progress::new(), budget()).unwrap_err().to_string();
        let at = |name: &str| folder.path().join(name);
        image::GrayImage::from_pixel(4, 2, image::Luma([1])).save(at("a_0.png")).unwrap();
        image::RgbImage::from_pixel(4, 2, image::Rgb([2, 3, 4])).save(at("a_1.png")).unwrap();
        image::GrayImage::from_pixel(4, 2, image::Luma([1])).save(at("a_2.png")).unwrap();
        let said = refused();
        assert!(said.contains("a_1.png is 2 × 4 uint8 of 3 channels"), "{said}");
        // Red, green and blue with opacity are the same colours; an opacity that some lack is not.
        image::RgbImage::from_pixel(4, 2, image::Rgb([5, 6, 7])).save(at("a_0.png")).unwrap();
        image::RgbaImage::from_pixel(4, 2, image::Rgba([8, 9, 10, 11])).save(at("a_2.png")).unwrap();
        let loaded = read_array(folder.path(), &Progress::new(), budget()).unwrap();
        assert_eq!(loaded.array.to_f32().iter().step_by(8).copied().collect::<Vec<_>>(), [5.0, 2.0, 8.0]);
        let options = ReadOptions { channel: Some(3), ..ReadOptions::default() };
        image::RgbaImage::from_pixel(4, 2, image::Rgba([8, 9, 10, 11])).save(at("a_0.png")).unwrap();
        assert!(read_array_of(folder.path(), &options, &Progress::new(), budget()).is_err());
    }

    #[test]
    fn what_is_said_of_a_later_picture_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        for (i, voxel) in [0.1, 0.1, 0.2].into_iter().enumerate() {
            let plane = Array3::from_elem((1, 3, 4), 7u8);
            let request = WriteRequest { voxel_um: Some([voxel; 3]), ..WriteRequest::new(&plane) };
            write_array(&folder.path().join(format!("a_{i}.tif")), &request, &Progress::new()).unwrap();
        }
        let loaded = read_array(folder.path(), &Progress::new(), budget()).unwrap();
        let said = &loaded.header.warnings;
        assert!(
            said.iter()
                .any(|w| w.contains("a_2.tif: its pixels have 0.2 µm, those of the first picture 0.1"))
        );
    }
}
